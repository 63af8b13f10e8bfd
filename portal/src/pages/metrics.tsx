import { useMemo, useState } from 'preact/hooks';
import { durationText, numberText, timeText } from '../logic/axes';
import { csv, rowsOf, type Axis, type Span } from '../logic/explorer';
import {
    grainFor,
    grains,
    grouped,
    isCounter,
    linesOf,
    METRICS_MAX,
    readChosen,
    wholeOf,
    writeChosen,
    type Chosen,
    type Definition,
    type Metric,
} from '../logic/metrics';
import type { PlotLine } from '../logic/plot';
import { useTick } from '../monitoring';
import { ink, Plot } from '../plot';
import { changeQuery, useRoute } from '../route';
import { download } from '../series-data';
import { AsTable, Choice, Denied, Failure, Field, PageHead, RowButton, Shimmer, Table, useApi, useLoad } from '../ui';

const MINUTE = 60_000;
const ROWS_MAX = 500; // of the table
const spans: [number, string][] = [
    [30 * MINUTE, 'Last 30 minutes'],
    [60 * MINUTE, 'Last hour'],
    [240 * MINUTE, 'Last 4 hours'],
    [720 * MINUTE, 'Last 12 hours'],
    [1440 * MINUTE, 'Last day'],
];
const USUAL = 240 * MINUTE;

export function MetricsPage() {
    const api = useApi();
    const definitions = useLoad(
        (signal) =>
            api.can('read') || api.can('service')
                ? api.ask<{ value: Definition[] }>('/insights/metricDefinitions', { signal })
                : Promise.resolve(null),
        [],
    );
    if (!api.can('read') && !api.can('service'))
        return <Denied what="read metrics (it lacks RegistryRead and ServiceConnect)" />;
    return (
        <>
            {definitions.data ? (
                <Metrics known={definitions.data.value} />
            ) : (
                <>
                    <h1>Metrics</h1>
                    <Failure text={definitions.error} retry={definitions.reload} />
                    {!definitions.error && <Shimmer />}
                </>
            )}
        </>
    );
}

interface View {
    chosen: Chosen[];
    span: Span;
    last: number; // ms; 0: a span that was chosen
    grain: number; // minutes
    wanted: string;
    split: boolean;
    axis: Axis;
}

function readView(query: URLSearchParams, known: Definition[], now: number): View {
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))];
    const last = from && to > from ? 0 : Number(query.get('last')) || USUAL;
    const span = last ? { from: now - last, to: now } : { from, to };
    const wanted = query.get('grain') ?? '';
    return {
        chosen: readChosen(query.get('m'), known),
        span,
        last,
        wanted,
        grain: grainFor(span, Number(wanted)),
        split: query.get('split') === '1',
        axis: query.get('axis') === 'shared' ? 'shared' : 'stacked',
    };
}

function Metrics(props: { known: Definition[] }) {
    const { known } = props;
    const api = useApi();
    const { query } = useRoute();
    const tick = useTick();
    const [turn, setTurn] = useState(0);
    const now = useMemo(() => Date.now(), [tick, turn, query]);
    const view = readView(query, known, now);
    const { chosen, span, grain } = view;
    const names = chosen.map((one) => one.name).join(',');
    const asked = ['Total', 'Average', 'Minimum', 'Maximum'].join(',');
    const loaded = useLoad(
        async (signal) => {
            if (!names) return [];
            const said = new URLSearchParams({
                metricnames: names,
                timespan: `${new Date(span.from).toISOString()}/${new Date(span.to).toISOString()}`,
                interval: `PT${grain}M`,
                aggregation: asked,
                ...(view.split && { $filter: "EndpointName eq '*'" }),
            });
            return (await api.ask<{ value: Metric[] }>(`/insights/metrics?${said}`, { signal })).value;
        },
        [names, view.last || span.from, span.to - span.from, grain, view.split],
        tick + turn,
    );
    const lines = useMemo(() => linesOf(chosen, loaded.data ?? []), [query, loaded.data]);
    const set = (next: Chosen[]) => changeQuery({ m: writeChosen(next, known) || ',' });
    const splits = chosen.some((one) => known.find((of) => of.name.value === one.name)?.dimensions);
    return (
        <>
            <PageHead title="Metrics" reload={() => setTurn(turn + 1)}>
                <button
                    type="button"
                    disabled={!lines.length}
                    onClick={() =>
                        download(
                            'metrics.csv',
                            csv(
                                ['time', ...lines.map((line) => line.name)],
                                rowsOf(lines.map((line) => line.points)).map((row) => [
                                    new Date(row.at).toISOString(),
                                    ...row.values,
                                ]),
                            ),
                        )
                    }
                >
                    Save as CSV
                </button>
            </PageHead>
            <div class="row">
                <AddMetric known={known} chosen={chosen} add={(one) => set([...chosen, one])} />
                <Choice
                    label="Time"
                    value={String(view.last)}
                    set={(text) => changeQuery({ last: text === String(USUAL) ? '' : text, from: '', to: '' })}
                    of={[
                        ...(view.last ? [] : ([['0', 'As chosen in the chart']] as [string, string][])),
                        ...spans.map(([ms, text]): [string, string] => [String(ms), text]),
                    ]}
                />
                <Choice
                    label="Interval"
                    value={view.wanted}
                    set={(text) => changeQuery({ grain: text })}
                    of={[
                        ['', `as it fits (${grainText(grainFor(span, 0))})`],
                        ...grains.map((minutes): [string, string] => [String(minutes), grainText(minutes)]),
                    ]}
                />
                <Choice
                    label="Lines"
                    value={view.axis}
                    set={(text) => changeQuery({ axis: text === 'shared' ? text : '' })}
                    of={[
                        ['stacked', 'in lanes'],
                        ['shared', 'on one axis'],
                    ]}
                />
                {splits && (
                    <Choice
                        label="Endpoints"
                        value={view.split ? '1' : ''}
                        set={(text) => changeQuery({ split: text })}
                        of={[
                            ['', 'together'],
                            ['1', 'apart'],
                        ]}
                    />
                )}
            </div>
            <Failure text={loaded.error} retry={loaded.reload} />
            <Drawn view={view} lines={lines} known={known} set={set} loading={loaded.loading} />
        </>
    );
}

const grainText = (minutes: number) => durationText(minutes * MINUTE);

function AddMetric(props: { known: Definition[]; chosen: Chosen[]; add: (one: Chosen) => void }) {
    const { known, chosen } = props;
    const groups = useMemo(() => grouped(known), [known]);
    return (
        <Field
            class="grow"
            label="Add a metric"
            wrong={chosen.length >= METRICS_MAX ? `${METRICS_MAX} at once; take one away first.` : ''}
        >
            {(id, described) => (
                <select
                    id={id}
                    value=""
                    disabled={chosen.length >= METRICS_MAX}
                    aria-describedby={described}
                    data-search=""
                    onChange={(event) => {
                        const of = known.find((one) => one.name.value === event.currentTarget.value);
                        event.currentTarget.value = '';
                        if (of) props.add({ name: of.name.value, aggregation: of.primaryAggregationType });
                    }}
                >
                    <option value="">Choose one of {known.length}</option>
                    {groups.map(([name, list]) => (
                        <optgroup key={name} label={name}>
                            {list
                                .filter((one) => !chosen.some((other) => other.name === one.name.value))
                                .map((one) => (
                                    <option key={one.name.value} value={one.name.value}>
                                        {one.name.localizedValue} ({one.name.value})
                                    </option>
                                ))}
                        </optgroup>
                    ))}
                </select>
            )}
        </Field>
    );
}

function Drawn(props: {
    view: View;
    lines: PlotLine[];
    known: Definition[];
    set: (chosen: Chosen[]) => void;
    loading: boolean;
}) {
    const { view, lines, known, set } = props;
    const { chosen, span, grain } = view;
    const [selection, select] = useState<Span | null>(null);
    const zoom = (to: Span) => {
        select(null);
        if (to.to - to.from >= 2 * grain * MINUTE)
            changeQuery({ from: String(Math.round(to.from)), to: String(Math.round(to.to)), last: '' });
    };
    if (!chosen.length) return <p class="empty">No metric is chosen.</p>;
    const some = lines.some((line) => line.points.times.length);
    return (
        <section class="panel">
            {some ? (
                <Plot
                    label={`${lines.length} ${lines.length === 1 ? 'line' : 'lines'}.`}
                    lines={lines}
                    span={span}
                    axis={view.axis}
                    utc={false}
                    step={grain * MINUTE}
                    focus={-1}
                    selection={selection}
                    select={select}
                    zoom={zoom}
                />
            ) : (
                <p class="empty" role="status">
                    {props.loading
                        ? 'Loading…'
                        : 'There are no samples of this time: the hub takes one at the end of each minute since its start, and keeps a day of them.'}
                </p>
            )}
            {(selection || !view.last) && (
                <div class="actions">
                    {selection && (
                        <button type="button" class="small" onClick={() => zoom(selection)}>
                            Show the selection alone
                        </button>
                    )}
                    {!view.last && (
                        <button type="button" class="small" onClick={() => changeQuery({ from: '', to: '' })}>
                            Back to the last hours
                        </button>
                    )}
                </div>
            )}
            <ul class="metrics" aria-label="Metrics that are drawn">
                {chosen.map((one) => (
                    <MetricRow
                        key={one.name}
                        one={one}
                        of={known.find((of) => of.name.value === one.name) as Definition}
                        lines={lines.filter((line) => line.property === one.name)}
                        grain={grain}
                        set={(next) => set(chosen.map((other) => (other === one ? next : other)))}
                        remove={() => set(chosen.filter((other) => other !== one))}
                    />
                ))}
            </ul>
            <AsTable>{() => <Values lines={lines} grain={grain} />}</AsTable>
        </section>
    );
}

const units: Record<string, string> = { Bytes: 'bytes', Seconds: 'seconds' };

function MetricRow(props: {
    one: Chosen;
    of: Definition;
    lines: PlotLine[];
    grain: number;
    set: (one: Chosen) => void;
    remove: () => void;
}) {
    const { one, of, lines } = props;
    return (
        <li>
            <div class="grow">
                <strong>{of.name.localizedValue}</strong>
                <div class="quiet mono">
                    {of.name.value}
                    {units[of.unit] ? `, ${units[of.unit]}` : ''}
                </div>
            </div>
            <div class="of">
                {lines.slice(0, 12).map((line) => (
                    <span key={line.name}>
                        <i class={`swatch ${ink(line.color)}`} />{' '}
                        {line.name === one.name ? '' : line.name.split(': ')[0]}{' '}
                        <b>{numberText(wholeOf(line, one.aggregation))}</b>
                    </span>
                ))}
            </div>
            {isCounter(of) ? (
                <span class="quiet">Sum of each {durationText(props.grain * MINUTE)}</span>
            ) : (
                <select
                    aria-label={`Of each interval of ${one.name}`}
                    value={one.aggregation}
                    onChange={(event) => props.set({ ...one, aggregation: event.currentTarget.value })}
                >
                    {of.supportedAggregationTypes.map((name) => (
                        <option key={name}>{name}</option>
                    ))}
                </select>
            )}
            <RowButton act="Remove" of={one.name} click={props.remove} />
        </li>
    );
}

function Values(props: { lines: PlotLine[]; grain: number }) {
    const { lines } = props;
    const rows = rowsOf(lines.map((line) => line.points)).reverse();
    return (
        <Table
            label="Values"
            rows={rows.slice(0, ROWS_MAX)}
            empty="No values in this time."
            columns={[
                { name: 'Time', cell: (row) => timeText(row.at, false, props.grain * MINUTE) },
                ...lines.map((line, i) => ({
                    name: line.name,
                    number: true,
                    cell: (row: { values: (number | null)[] }) => numberText(row.values[i]),
                })),
            ]}
        />
    );
}
