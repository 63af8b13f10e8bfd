// The hub's metrics, as Azure Monitor's REST API has them. No browser in here.
import { COLORS, type Points, type Span } from './explorer';
import type { PlotLine } from './plot';

export interface Definition {
    name: { value: string; localizedValue: string };
    unit: string; // Count, Bytes, Seconds
    primaryAggregationType: string;
    supportedAggregationTypes: string[];
    dimensions?: { value: string }[];
}

interface Point {
    timeStamp: string;
    total?: number;
    average?: number;
    minimum?: number;
    maximum?: number;
}
export interface Metric {
    name: { value: string; localizedValue: string };
    timeseries: { metadatavalues: { value: string }[]; data: Point[] }[];
}

/** A metric that is drawn; `aggregation`: Total, Average, Minimum, Maximum. */
export interface Chosen {
    name: string;
    aggregation: string;
}

export const METRICS_MAX = 20; // of a request
export const fresh = [
    'd2c.telemetry.ingress.allProtocol',
    'd2c.telemetry.ingress.success',
    'connectedDeviceCount',
    'd2c.twin.update.success',
];
export const isCounter = (of: Definition) => of.primaryAggregationType === 'Total';

const groups: [string, RegExp][] = [
    ['Telemetry', /^d2c\.telemetry|_telemetry_/],
    ['Devices', /device|module|session|quota/i],
    ['Cloud-to-device messages', /^c2d\.commands|C2D|_c2d_|feedback/],
    ['Direct methods', /methods/],
    ['Twins', /twin/i],
    ['Jobs and configurations', /job|configurations/],
    ['Endpoints of routes', /endpoint/],
    ['Files', /blob|upload|file/],
    ['Time series', /_series_/],
];

/** Metrics by what they are about, in an order that stays. */
export function grouped(list: Definition[]): [string, Definition[]][] {
    const found = new Map<string, Definition[]>(groups.map(([name]) => [name, []]));
    found.set('The hub', []);
    for (const one of list) {
        const name = groups.find(([, of]) => of.test(one.name.value))?.[0] ?? 'The hub';
        found.get(name)?.push(one);
    }
    return [...found].filter(([, of]) => of.length);
}

/** "name~Maximum,name": what the address says; what the hub has not is left out. */
export function readChosen(text: string | null, known: Definition[]): Chosen[] {
    const names = text === null ? fresh : text.split(',').filter(Boolean);
    const chosen: Chosen[] = [];
    for (const said of names) {
        const [name, wanted] = said.split('~');
        const of = known.find((one) => one.name.value === name);
        if (!of || chosen.length === METRICS_MAX || chosen.some((one) => one.name === name)) continue;
        const fits = wanted && of.supportedAggregationTypes.includes(wanted);
        chosen.push({ name: of.name.value, aggregation: fits ? wanted : of.primaryAggregationType });
    }
    return chosen;
}

export function writeChosen(chosen: Chosen[], known: Definition[]): string {
    const plain = (one: Chosen) =>
        known.find((of) => of.name.value === one.name)?.primaryAggregationType === one.aggregation;
    return chosen.map((one) => (plain(one) ? one.name : `${one.name}~${one.aggregation}`)).join(',');
}

/** Minutes between points of a span: the hub keeps one a minute. */
export const grains = [1, 5, 15, 30, 60];
export function grainFor(span: Span, wanted: number): number {
    if (grains.includes(wanted)) return wanted;
    const minutes = (span.to - span.from) / 60_000;
    return minutes <= 240 ? 1 : minutes <= 720 ? 5 : 15;
}

const sizeOf = (point: Point, aggregation: string) =>
    ({ Total: point.total, Average: point.average, Minimum: point.minimum, Maximum: point.maximum })[aggregation] ??
    null;

/** What the answer says of what is chosen, as lines of a chart. An average has a band around it. */
export function linesOf(chosen: Chosen[], metrics: Metric[]): PlotLine[] {
    let color = 0;
    return chosen.flatMap(({ name, aggregation }) => {
        const metric = metrics.find((one) => one.name.value === name);
        return (metric?.timeseries ?? []).map(({ metadatavalues, data }) => {
            const of = metadatavalues[0]?.value;
            const points: Points = {
                times: data.map((point) => Date.parse(point.timeStamp)),
                values: data.map((point) => sizeOf(point, aggregation)),
            };
            if (aggregation === 'Average') {
                points.low = data.map((point) => point.minimum ?? null);
                points.high = data.map((point) => point.maximum ?? null);
            }
            return { name: of ? `${of}: ${name}` : name, property: name, color: color++ % (COLORS * 5), points };
        });
    });
}

/** What a line comes to in the whole time: a counter's sum, else its newest value. */
export function wholeOf(line: PlotLine, aggregation: string): number | null {
    const { values } = line.points;
    const there = values.filter((value) => value !== null);
    if (!there.length) return null;
    return aggregation === 'Total' ? there.reduce((sum, value) => sum + value, 0) : (there.at(-1) ?? null);
}
