// Lines over time, drawn as SVG: axes, a legend that shows and hides them, values under the pointer, and all of it as a table.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ticks, type SeriesPoint } from './logic/series';
import { AsTable, Table } from './ui';

export const COLOURS = 11; // as style.css has them; beyond, lines are dashed
const HEIGHT = 260;
const MARGIN = { left: 56, right: 12, top: 10, bottom: 26 };
const ROWS_MAX = 200; // of the table
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800];

/** How large an element is drawn. */
export function useSize<T extends Element>() {
    const at = useRef<T>(null);
    const [size, setSize] = useState({ width: 0, height: 0 });
    useEffect(() => {
        if (!at.current) return;
        const watch = new ResizeObserver(([entry]) => {
            if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
        });
        watch.observe(at.current);
        return () => watch.disconnect();
    }, []);
    return { at, size };
}

export interface Line {
    name: string;
    points: SeriesPoint[];
}

const number = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: 3 });
const clock = (at: number) => new Date(at).toLocaleTimeString();
const look = (i: number) => `line s${i % COLOURS} d${Math.floor(i / COLOURS) % 5}`;

function nearest(points: SeriesPoint[], at: number): SeriesPoint | undefined {
    let low = 0;
    let high = points.length - 1;
    while (low < high) {
        const middle = (low + high) >> 1;
        if ((points[middle] as SeriesPoint).at < at) low = middle + 1;
        else high = middle;
    }
    const [before, after] = [points[low - 1], points[low]];
    return before && after && at - before.at < after.at - at ? before : after;
}

export function TimeChart(props: { title: string; lines: Line[]; empty: string }) {
    const { at, size } = useSize<HTMLDivElement>();
    const [hidden, hide] = useState<Set<string>>(new Set());
    const [pointed, point] = useState<number | null>(null);
    const shown = props.lines.filter((line) => line.points.length && !hidden.has(line.name));
    const points = shown.flatMap((line) => line.points);
    const width = Math.max(240, size.width);
    const [from, to] = [Math.min(...points.map((one) => one.at)), Math.max(...points.map((one) => one.at))];
    const values = points.map((one) => one.value);
    let [least, most] = [Math.min(...values), Math.max(...values)];
    const room = (most - least || Math.abs(most) || 1) * 0.06;
    [least, most] = [least - room, most + room];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
    const x = (time: number) => MARGIN.left + (to > from ? (time - from) / (to - from) : 1) * inner.width;
    const y = (value: number) => MARGIN.top + (1 - (value - least) / (most - least)) * inner.height;
    const step = 1000 * (STEPS_S.find((one) => (to - from) / 1000 / one <= inner.width / 90) ?? 604800);
    const times: number[] = [];
    for (let time = Math.ceil(from / step) * step; time <= to && points.length; time += step) times.push(time);
    const latest = (line: Line) => line.points.at(-1);
    const words = points.length
        ? `${shown.length} line${shown.length === 1 ? '' : 's'} from ${clock(from)} to ${clock(to)}, between ${number(Math.min(...values))} and ${number(Math.max(...values))}.`
        : props.empty;
    const toggle = (name: string) => {
        const next = new Set(hidden);
        if (!next.delete(name)) next.add(name);
        hide(next);
    };
    const move = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
        const inside = event.clientX - event.currentTarget.getBoundingClientRect().left - MARGIN.left;
        point(from + (Math.max(0, Math.min(inner.width, inside)) / inner.width) * (to - from));
    };
    return (
        <div class="lines" ref={at}>
            {points.length ? (
                <svg
                    width={width}
                    height={HEIGHT}
                    role="img"
                    aria-label={`${props.title}. ${words}`}
                    onPointerMove={move}
                    onPointerLeave={() => point(null)}
                >
                    {ticks(least, most, 4).map((value) => (
                        <g key={value}>
                            <line class="grid" x1={MARGIN.left} x2={width - MARGIN.right} y1={y(value)} y2={y(value)} />
                            <text class="value" x={MARGIN.left - 8} y={y(value) + 4}>
                                {number(value)}
                            </text>
                        </g>
                    ))}
                    {times.map((time) => (
                        <g key={time}>
                            <line class="grid" x1={x(time)} x2={x(time)} y1={MARGIN.top} y2={HEIGHT - MARGIN.bottom} />
                            <text class="time" x={x(time)} y={HEIGHT - 8}>
                                {clock(time)}
                            </text>
                        </g>
                    ))}
                    {props.lines.map((line, i) =>
                        hidden.has(line.name) ? null : line.points.length === 1 ? (
                            <circle
                                key={line.name}
                                class={look(i)}
                                cx={x(line.points[0]?.at ?? 0)}
                                cy={y(line.points[0]?.value ?? 0)}
                                r={2}
                            />
                        ) : (
                            <polyline
                                key={line.name}
                                class={look(i)}
                                points={line.points
                                    .map((one) => `${x(one.at).toFixed(1)},${y(one.value).toFixed(1)}`)
                                    .join(' ')}
                            />
                        ),
                    )}
                    {pointed !== null && (
                        <line
                            class="pointer"
                            x1={x(pointed)}
                            x2={x(pointed)}
                            y1={MARGIN.top}
                            y2={HEIGHT - MARGIN.bottom}
                        />
                    )}
                </svg>
            ) : (
                <p class="empty">{props.lines.length ? 'All lines are hidden.' : props.empty}</p>
            )}
            {props.lines.length > 0 && (
                <div class="legend" role="group" aria-label="Lines">
                    {props.lines.map((line, i) => {
                        const said = pointed === null ? latest(line) : nearest(line.points, pointed);
                        return (
                            <button
                                key={line.name}
                                type="button"
                                class="small"
                                aria-pressed={!hidden.has(line.name)}
                                onClick={() => toggle(line.name)}
                            >
                                <svg width="22" height="10" aria-hidden="true">
                                    <line class={look(i)} x1="1" x2="21" y1="5" y2="5" />
                                </svg>
                                <span>{line.name}</span> <strong>{said ? number(said.value) : '--'}</strong>
                            </button>
                        );
                    })}
                </div>
            )}
            {pointed !== null && points.length > 0 && <p class="quiet scale">Values at {clock(pointed)}</p>}
            <AsTable>
                {() => (
                    <Table
                        label={props.title}
                        empty={props.empty}
                        rows={shown
                            .flatMap((line) => line.points.map((one) => ({ ...one, name: line.name })))
                            .sort((a, b) => b.at - a.at)
                            .slice(0, ROWS_MAX)}
                        columns={[
                            { name: 'Time', cell: (one) => clock(one.at) },
                            { name: 'Device', cell: (one) => one.name },
                            { name: props.title, number: true, cell: (one) => number(one.value) },
                        ]}
                    />
                )}
            </AsTable>
        </div>
    );
}
