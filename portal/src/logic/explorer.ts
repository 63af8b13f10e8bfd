// Time series: what is shown, as an address holds it, and what is asked of the hub for it. docs/protocols/time-series.md says what it answers.
import { durationText, HOUR } from './axes';

export type SeriesId = (string | null)[];

export const LINES_MAX = 50;
export const COLORS = 11; // monitoring.css has them: .s0 …

const PLAIN = ['avg', 'min', 'max', 'sum', 'count', 'first', 'last', 'median', 'stdev'];
const OF_SIGNALS = ['twavg', 'left', 'right', 'twsum'];
export const RAW = 'raw';
export const signals = ['', 'Step', 'Linear'] as const;
export type Signal = (typeof signals)[number];

/** What may be computed of an interval; a signal is known between its points, too. */
export const aggregatesOf = (signal: Signal): string[] => (signal ? OF_SIGNALS : [...PLAIN, RAW]);

export interface Line {
    id: SeriesId;
    name: string; // that the model gives the series; empty: none
    property: string;
    aggregate: string;
    signal: Signal;
    color: number;
    hidden: boolean;
    band: boolean; // from the least to the greatest value of each interval
    shift: number; // ms; what was so much earlier is shown
}

export const axes = ['stacked', 'shared', 'overlapped'] as const;
export type Axis = (typeof axes)[number];
export const tabs = ['chart', 'table', 'events'] as const;
export type Tab = (typeof tabs)[number];

export interface View {
    last: number; // ms up to now; 0: from `from` to `to`
    from: number;
    to: number;
    interval: number; // ms; 0: as it fits
    axis: Axis;
    utc: boolean;
    refresh: number; // s; 0: not by itself
    tab: Tab;
    lines: Line[];
}

export const freshView: View = {
    last: HOUR,
    from: 0,
    to: 0,
    interval: 0,
    axis: 'stacked',
    utc: false,
    refresh: 0,
    tab: 'chart',
    lines: [],
};

export const freshLine = (id: SeriesId, property: string, color: number, name = ''): Line => ({
    id,
    name,
    property,
    aggregate: 'avg',
    signal: '',
    color,
    hidden: false,
    band: false,
    shift: 0,
});

export const sameId = (a: SeriesId, b: SeriesId) => JSON.stringify(a) === JSON.stringify(b);
export const idText = (id: SeriesId) => id.map((part) => part ?? '–').join(' / ');
export const seriesText = (line: Line) => line.name || idText(line.id);
export const aggregateText = (line: Line) =>
    (line.aggregate === RAW ? 'each value' : line.aggregate) + (line.signal ? ` (${line.signal})` : '');
export const lineText = (line: Line) =>
    `${seriesText(line)} ${line.property}` +
    (line.aggregate === 'avg' ? '' : `, ${aggregateText(line)}`) +
    (line.shift ? `, ${durationText(line.shift)} earlier` : '');

/** A colour that no line has. */
export function freeColor(lines: Line[]): number {
    const used = new Set(lines.map((line) => line.color));
    let color = 0;
    while (used.has(color) && color < LINES_MAX) color++;
    return color;
}

/** Lines of one property of several series; those that are there already stay as they are. */
export function addLines(lines: Line[], series: { id: SeriesId; name?: string }[], property: string): Line[] {
    const next = [...lines];
    for (const { id, name } of series) {
        if (next.length >= LINES_MAX) break;
        if (next.some((line) => line.property === property && sameId(line.id, id))) continue;
        next.push(freshLine(id, property, freeColor(next), name));
    }
    return next;
}

/* ---- in an address ---- */

const LAST_MAX = 3650 * 24 * HOUR;
const number = (text: unknown, least: number, most: number): number => {
    const value = typeof text === 'number' ? text : Number(text ?? 0);
    return Number.isFinite(value) && value >= least && value <= most ? value : 0;
};

function readLine(said: unknown): Line | null {
    if (typeof said !== 'object' || said === null) return null;
    const one = said as Record<string, unknown>;
    const id = one.id;
    if (!Array.isArray(id) || !id.length || id.length > 3 || typeof one.p !== 'string' || !one.p) return null;
    if (!id.every((part) => part === null || typeof part === 'string')) return null;
    const signal = signals.find((name) => name === one.i) ?? '';
    const known = aggregatesOf(signal);
    return {
        id: id as SeriesId,
        name: typeof one.n === 'string' ? one.n : '',
        property: one.p,
        aggregate: known.find((name) => name === one.a) ?? known[0]!,
        signal,
        color: Math.floor(number(one.c, 0, LINES_MAX)),
        hidden: one.hide === 1,
        band: one.band === 1,
        shift: number(one.shift, -LAST_MAX, LAST_MAX),
    };
}

function readLines(text: string | null): Line[] {
    try {
        const list = JSON.parse(text ?? '[]') as unknown;
        if (!Array.isArray(list)) return [];
        return list
            .slice(0, LINES_MAX)
            .map(readLine)
            .filter((line): line is Line => line !== null);
    } catch {
        return [];
    }
}

/** What an address says; what it says wrong is as if it were not there. */
export function readView(query: URLSearchParams): View {
    const from = Date.parse(query.get('from') ?? '');
    const to = Date.parse(query.get('to') ?? '');
    const fixed = from < to;
    const axis = query.get('y');
    const tab = query.get('tab');
    return {
        last: fixed ? 0 : number(query.get('last'), 1, LAST_MAX / 1000) * 1000 || freshView.last,
        from: fixed ? from : 0,
        to: fixed ? to : 0,
        interval: number(query.get('every'), 0.001, LAST_MAX / 1000) * 1000,
        axis: axes.find((one) => one === axis) ?? freshView.axis,
        utc: query.get('zone') === 'utc',
        refresh: number(query.get('refresh'), 1, 3600),
        tab: tabs.find((one) => one === tab) ?? freshView.tab,
        lines: readLines(query.get('s')),
    };
}

const iso = (ms: number) => new Date(ms).toISOString();

/** The parameters of an address that `readView` reads as this view. */
export function writeView(view: View): Record<string, string> {
    const lines = view.lines.map((line) => ({
        id: line.id,
        ...(line.name && { n: line.name }),
        p: line.property,
        ...(line.aggregate !== aggregatesOf(line.signal)[0] && { a: line.aggregate }),
        ...(line.signal && { i: line.signal }),
        ...(line.color && { c: line.color }),
        ...(line.hidden && { hide: 1 }),
        ...(line.band && { band: 1 }),
        ...(line.shift && { shift: line.shift }),
    }));
    return {
        last: view.last && view.last !== freshView.last ? String(view.last / 1000) : '',
        from: view.last ? '' : iso(view.from),
        to: view.last ? '' : iso(view.to),
        every: view.interval ? String(view.interval / 1000) : '',
        y: view.axis === freshView.axis ? '' : view.axis,
        zone: view.utc ? 'utc' : '',
        refresh: view.refresh ? String(view.refresh) : '',
        tab: view.tab === freshView.tab ? '' : view.tab,
        s: lines.length ? JSON.stringify(lines) : '',
    };
}

/* ---- queries ---- */

/** $event['s'].['v'], of the name that a property has when it is flattened: s.v, or n.['odd.name']. */
export function reference(name: string, type: string): string {
    const tokens = name.match(/\['(?:\\.|[^\\'])*'\]|[^.]+/g) ?? [name];
    return `$event${tokens.map((token) => (token.startsWith("['") ? token : `['${token}']`)).join('.')}.${type}`;
}

/** A number, however it was sent: 21 is a Long, 21.5 a Double. */
const numberOf = (property: string) =>
    `coalesce(${reference(property, 'Double')}, toDouble(${reference(property, 'Long')}))`;
const isThere = (property: string) =>
    `${reference(property, 'Double')} != NULL OR ${reference(property, 'Long')} != NULL`;

type Variable = Record<string, unknown>;

export function variable(property: string, aggregate: string, signal: Signal = '', boundary = 0): Variable {
    if (aggregate === 'count')
        return { kind: 'aggregate', filter: { tsx: isThere(property) }, aggregation: { tsx: 'count()' } };
    return {
        kind: 'numeric',
        value: { tsx: numberOf(property) },
        ...(signal && { interpolation: { kind: signal, boundary: { span: `PT${boundary / 1000}S` } } }),
        aggregation: { tsx: aggregate === RAW ? 'last($value)' : `${aggregate}($value)` },
    };
}

export interface Span {
    from: number;
    to: number;
}
export const searchSpan = (span: Span) => ({ from: iso(span.from), to: iso(span.to) });

/** One query of one series, and which of its columns are whose: `v3` is line 3's value, `l3` and `h3` its band. */
export interface Asked {
    query: Record<string, unknown>;
    shift: number;
}

const VARIABLES_MAX = 50;
const BOUNDARY_LEAST = HOUR;
const BOUNDARY_MOST = LAST_MAX; // the hub's limit

/** What to ask for the lines that are shown: a query for each series and shift, of at most 50 variables. */
export function queriesFor(lines: Line[], span: Span, interval: number): Asked[] {
    const groups = new Map<string, { id: SeriesId; shift: number; raw: boolean; variables: [string, Variable][] }>();
    const boundary = Math.min(BOUNDARY_MOST, Math.max(BOUNDARY_LEAST, span.to - span.from));
    lines.forEach((line, i) => {
        if (line.hidden) return;
        const raw = line.aggregate === RAW;
        const own: [string, Variable][] = [
            [`v${i}`, variable(line.property, line.aggregate, line.signal, boundary)],
            ...(line.band && !raw
                ? ([
                      [`l${i}`, variable(line.property, 'min')],
                      [`h${i}`, variable(line.property, 'max')],
                  ] as [string, Variable][])
                : []),
        ];
        for (let part = 0; ; part++) {
            const key = JSON.stringify([line.id, line.shift, raw ? i : -1, part]);
            const group = groups.get(key);
            if (group && group.variables.length + own.length > VARIABLES_MAX) continue;
            if (group) group.variables.push(...own);
            else groups.set(key, { id: line.id, shift: line.shift, raw, variables: own });
            break;
        }
    });
    return [...groups.values()].map((group) => {
        const asked = {
            timeSeriesId: group.id,
            searchSpan: searchSpan({ from: span.from - group.shift, to: span.to - group.shift }),
            inlineVariables: Object.fromEntries(group.variables),
            projectedVariables: group.variables.map(([name]) => name), // and none of the type's
        };
        return {
            shift: group.shift,
            query: group.raw
                ? { getSeries: { ...asked, take: RAW_MAX } }
                : { aggregateSeries: { ...asked, interval: `PT${interval / 1000}S` } },
        };
    });
}

export const RAW_MAX = 20_000; // values of a line that is not computed

export interface Answer {
    timestamps: string[];
    properties: { name: string; type: string; values: unknown[] }[];
    continuationToken: string | null;
}

export interface Points {
    times: number[];
    values: (number | null)[];
    low?: (number | null)[];
    high?: (number | null)[];
}

const numbers = (values: unknown[]) => values.map((value) => (typeof value === 'number' ? value : null));

/** Puts what one query has answered where its lines' points are. */
export function takeAnswer(points: Map<number, Points>, asked: Asked, answer: Answer) {
    const times = answer.timestamps.map((text) => Date.parse(text) + asked.shift);
    const parts = { v: 'values', l: 'low', h: 'high' } as const;
    for (const column of answer.properties) {
        const part = parts[column.name[0] as 'v'];
        const line = Number(column.name.slice(1));
        if (!part || !Number.isInteger(line)) continue;
        const to = points.get(line) ?? { times: [], values: [] };
        if (part === 'values') to.times = [...to.times, ...times];
        to[part] = [...(to[part] ?? []), ...numbers(column.values)];
        points.set(line, to);
    }
}

/* ---- statistics ---- */

export const statistics = ['count', 'min', 'max', 'avg', 'median', 'stdev', 'sum', 'first', 'last'];

/** Statistics over a span as one interval: intervals begin at 1970, so one that is longer than the time since holds all of it. */
export function statisticsQuery(line: Line, span: Span): Record<string, unknown> {
    const from = span.from - line.shift;
    const to = span.to - line.shift;
    return {
        aggregateSeries: {
            timeSeriesId: line.id,
            searchSpan: searchSpan({ from, to }),
            interval: `PT${Math.ceil(Math.max(Math.abs(from), Math.abs(to)) / 1000) + 1}S`,
            inlineVariables: Object.fromEntries(statistics.map((name) => [name, variable(line.property, name)])),
            projectedVariables: statistics,
        },
    };
}

/* ---- as a file ---- */

// A text that a spreadsheet would take for a formula is quoted as one that it is not.
const cell = (value: unknown): string => {
    if (value === null || value === undefined) return '';
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};

export function csv(head: string[], rows: unknown[][]): string {
    return [head, ...rows].map((row) => row.map(cell).join(',') + '\r\n').join('');
}

/** A row for each time at which any line has a value. */
export function rowsOf(points: (Points | undefined)[]): { at: number; values: (number | null)[] }[] {
    const rows = new Map<number, (number | null)[]>();
    points.forEach((line, column) =>
        line?.times.forEach((at, i) => {
            const value = line.values[i] ?? null;
            if (value === null) return;
            let row = rows.get(at);
            if (!row) rows.set(at, (row = Array.from({ length: points.length }, () => null)));
            row[column] = value;
        }),
    );
    return [...rows].sort(([a], [b]) => a - b).map(([at, values]) => ({ at, values }));
}
