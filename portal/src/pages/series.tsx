// The explorer of time series: what is chosen on the left is drawn on the right. The address holds all of the view.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { intervalFor, numberText, timeText } from '../logic/axes';
import {
    addLines,
    axes,
    lineText,
    RAW,
    RAW_MAX,
    readView,
    rowsOf,
    csv,
    sameId,
    tabs,
    type Axis,
    type Line,
    type Span,
    type Tab,
    type View,
} from '../logic/explorer';
import { Plot } from '../plot';
import { go, useRoute } from '../route';
import { download, lineKey, plotLinesOf, useAvailability, useLines } from '../series-data';
import { Choice, Copy, Denied, Failure, PageHead, useApi } from '../ui';
import { Events } from './series-events';
import { SavedViews, Statistics, ValueRows, viewHref } from './series-more';
import { SeriesPicker } from './series-list';
import { TimeBar, TimeButtons } from './series-time';
import { Well } from './series-well';

const ZOOM_LEAST = 10; // ms
const YEAR_9999 = Date.UTC(9999, 11, 31);

/** A span that the hub can be asked for. */
function possible(span: Span): Span {
    const from = Math.round(Math.min(YEAR_9999, Math.max(0, span.from)));
    return { from, to: Math.round(Math.min(YEAR_9999, Math.max(from + ZOOM_LEAST, span.to))) };
}

/** The view is what the address says; changes write it. Another time is another place of the browser's history. */
function useView() {
    const route = useRoute();
    const text = route.query.toString();
    const view = useMemo(() => readView(route.query), [text]);
    const past = useRef<Pick<View, 'last' | 'from' | 'to'>[]>([]);
    const write = (next: View, replace: boolean) => {
        go(viewHref(next), replace);
    };
    const set = (change: Partial<View>) => write({ ...view, ...change }, true);
    const move = (change: Partial<View>) => {
        past.current = [...past.current.slice(-49), { last: view.last, from: view.from, to: view.to }];
        write({ ...view, ...change }, false);
    };
    const back = past.current.length
        ? () => {
              const before = past.current.pop();
              if (before) write({ ...view, ...before }, true);
          }
        : null;
    return { view, set, move, back };
}

/** Grows every `seconds` while somebody looks. */
function useTurns(seconds: number) {
    const [turn, setTurn] = useState(0);
    useEffect(() => {
        if (!seconds) return;
        const timer = setInterval(() => !document.hidden && setTurn((n) => n + 1), seconds * 1000);
        return () => clearInterval(timer);
    }, [seconds]);
    return { turn, next: () => setTurn((n) => n + 1) };
}

const axisNames: Record<Axis, string> = {
    stacked: 'Stacked',
    shared: 'Shared',
    overlapped: 'Overlapped',
};
const tabNames: Record<Tab, string> = { chart: 'Chart', table: 'Table', events: 'Events' };

export function SeriesPage() {
    const api = useApi();
    if (!api.can('service')) return <Denied what="read time series (it lacks ServiceConnect)" />;
    return <WithStore />;
}

/** Where the hub keeps no time series it is said once. */
function WithStore() {
    const there = useAvailability(0);
    if (there.error) return <Failure text={there.error} retry={there.reload} />;
    return <Explorer />;
}

function Explorer() {
    const { view, set, move, back } = useView();
    const { turn, next } = useTurns(view.refresh);
    const [focus, setFocus] = useState(-1);
    const [selection, setSelection] = useState<Span | null>(null);
    const [measured, setMeasured] = useState<Span | null>(null); // whose statistics are shown
    const [views, setViews] = useState(false);
    const span = useMemo(() => {
        const now = Date.now();
        return view.last ? { from: now - view.last, to: now } : possible(view);
    }, [view.last, view.from, view.to, turn]);
    const interval = intervalFor(span.to - span.from, view.interval);
    const loaded = useLines(view.lines, span, interval, turn);
    const shown = useMemo(() => view.lines.filter((line) => !line.hidden), [view.lines]);
    const ids = useMemo(
        () =>
            view.lines.map((line) => line.id).filter((id, i, all) => all.findIndex((other) => sameId(id, other)) === i),
        [view.lines],
    );
    const plotLines = useMemo(() => plotLinesOf(shown, loaded), [shown, loaded.points]);
    const cut = plotLines.some((line, i) => shown[i]?.aggregate === RAW && line.points.times.length >= RAW_MAX);
    const save = () => {
        const rows = rowsOf(shown.map((line) => loaded.points.get(lineKey(line))));
        const head = ['timestamp', ...shown.map(lineText)];
        download(
            'series.csv',
            csv(
                head,
                rows.map((row) => [new Date(row.at).toISOString(), ...row.values]),
            ),
        );
    };
    const zoom = (to: Span) => {
        setSelection(null);
        const next = possible(to);
        move({ last: 0, from: next.from, to: next.to });
    };
    const lastOf = (line: Line) => {
        const values = loaded.points.get(lineKey(line))?.values.filter((value) => value !== null);
        return numberText(values?.at(-1));
    };
    return (
        <>
            <PageHead title="Time series" reload={next}>
                <button type="button" onClick={() => setViews(true)}>
                    Views…
                </button>
                <Copy long label="link" text={location.origin + viewHref({ ...view, last: 0, ...span })} />
                <button type="button" disabled={!shown.length} onClick={save}>
                    Download CSV
                </button>
            </PageHead>
            <div class="explorer">
                <SeriesPicker
                    count={view.lines.length}
                    add={(series, property) => set({ lines: addLines(view.lines, series, property) })}
                />
                <div class="stack">
                    <TimeBar view={view} span={span} turn={turn} set={set} move={move} />
                    <section class="panel" aria-label="Chart">
                        <div class="head">
                            <div class="tabs" role="group" aria-label="Shown as">
                                {tabs.map((tab) => (
                                    <button
                                        key={tab}
                                        type="button"
                                        aria-pressed={view.tab === tab}
                                        onClick={() => set({ tab })}
                                    >
                                        {tabNames[tab]}
                                    </button>
                                ))}
                            </div>
                            <TimeButtons span={span} back={back} show={zoom} />
                            {view.tab === 'chart' && (
                                <Choice
                                    label="Y axes"
                                    value={view.axis}
                                    set={(text) => set({ axis: text as Axis })}
                                    of={axes.map((axis) => [axis, axisNames[axis]])}
                                />
                            )}
                        </div>
                        <Failure text={loaded.failure} retry={next} />
                        {cut && (
                            <p class="note warn">
                                Of a line of each value the first {RAW_MAX.toLocaleString()} are drawn.
                            </p>
                        )}
                        {view.tab === 'events' ? (
                            <Events ids={ids} span={span} utc={view.utc} />
                        ) : view.tab === 'table' ? (
                            <ValueRows lines={shown} loaded={loaded} utc={view.utc} />
                        ) : (
                            <>
                                <Plot
                                    label={`${shown.length} ${shown.length === 1 ? 'line' : 'lines'}.`}
                                    lines={plotLines}
                                    span={loaded.span ?? span}
                                    axis={view.axis}
                                    utc={view.utc}
                                    step={loaded.interval}
                                    focus={shown.indexOf(view.lines[focus] as Line)}
                                    selection={selection}
                                    select={setSelection}
                                    zoom={zoom}
                                />
                                {selection && (
                                    <div class="actions" role="group" aria-label="What is selected">
                                        <span role="status">
                                            {timeText(selection.from, view.utc)} – {timeText(selection.to, view.utc)}
                                        </span>
                                        <button type="button" class="first" onClick={() => zoom(selection)}>
                                            Zoom
                                        </button>
                                        <button type="button" onClick={() => setMeasured(selection)}>
                                            Statistics
                                        </button>
                                        <button
                                            type="button"
                                            onClick={() => {
                                                setSelection(null);
                                                move({ last: 0, ...possible(selection), tab: 'events' });
                                            }}
                                        >
                                            Events
                                        </button>
                                        <button type="button" onClick={() => setSelection(null)}>
                                            Clear
                                        </button>
                                    </div>
                                )}
                            </>
                        )}
                    </section>
                    {measured && (
                        <Statistics lines={shown} span={measured} utc={view.utc} close={() => setMeasured(null)} />
                    )}
                    <Well
                        lines={view.lines}
                        last={lastOf}
                        focus={focus}
                        setFocus={setFocus}
                        set={(lines) => set({ lines })}
                    />
                </div>
            </div>
            {views && <SavedViews view={view} close={() => setViews(false)} />}
        </>
    );
}
