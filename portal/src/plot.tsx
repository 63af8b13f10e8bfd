// A chart of time series: lines on a canvas, axes and what moves above them in SVG. Everything that a pointer does, keys do, too.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { durationText, numberText, tickLabels, tickText, timeText, timeTicks } from './logic/axes';
import { gapOf, lanesOf, nearest, plotHeight, summary, type Lane, type PlotLine } from './logic/plot';
import { COLORS, type Axis, type Span } from './logic/explorer';

export const ink = (color: number) => `ink s${color % COLORS}`;

const LEFT = 58;
const RIGHT = 24;
const TOP = 8;
const BOTTOM = 40;
const CLICK = 4; // px that a pointer may move and still be a click
const TOLD = 12; // lines beside the cursor
const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3], [14, 4]];

export interface PlotProps {
    label: string;
    lines: PlotLine[];
    span: Span;
    axis: Axis;
    utc: boolean;
    step: number; // ms between points
    focus: number; // the line that stands out; -1: none
    selection: Span | null;
    select: (span: Span | null) => void;
    zoom: (span: Span) => void;
}

/** The width that an element has, as it changes. */
export function useWidth<T extends Element>(otherwise: number) {
    const box = useRef<T>(null);
    const [width, setWidth] = useState(otherwise);
    useLayoutEffect(() => {
        const element = box.current;
        if (!element) return;
        const measure = () => setWidth(Math.max(200, Math.floor(element.clientWidth)));
        measure();
        const observer = new ResizeObserver(measure);
        observer.observe(element);
        return () => observer.disconnect();
    }, []);
    return { box, width };
}

/** Grows with each change of the colours that the page has. */
function useColors(): number {
    const [turn, setTurn] = useState(0);
    useEffect(() => {
        const changed = () => setTurn((n) => n + 1);
        const system = matchMedia('(prefers-color-scheme: dark)');
        const observer = new MutationObserver(changed);
        system.addEventListener('change', changed);
        observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
        return () => {
            system.removeEventListener('change', changed);
            observer.disconnect();
        };
    }, []);
    return turn;
}

const spanBetween = (a: number, b: number): Span => ({ from: Math.min(a, b), to: Math.max(a, b) });

/** Dragging over a stretch of time; `done` gets null for a click. */
export function useBrush(toTime: (x: number) => number, done: (span: Span | null, pan: number) => void) {
    const [drag, setDrag] = useState<{ from: number; to: number; pan: boolean } | null>(null);
    const start = useRef<{ x: number; at: number; pan: boolean } | null>(null);
    const xOf = (event: PointerEvent) => event.clientX - (event.currentTarget as Element).getBoundingClientRect().left;
    return {
        drag,
        on: {
            onPointerDown: (event: PointerEvent) => {
                if (event.button) return;
                (event.currentTarget as Element).setPointerCapture(event.pointerId);
                const x = xOf(event);
                start.current = { x, at: toTime(x), pan: event.shiftKey };
            },
            onPointerMove: (event: PointerEvent) => {
                const from = start.current;
                const x = xOf(event);
                if (from && (drag || Math.abs(x - from.x) >= CLICK))
                    setDrag({ from: from.at, to: toTime(x), pan: from.pan });
            },
            onPointerUp: () => {
                const from = start.current;
                start.current = null;
                setDrag(null);
                if (!from) return;
                if (!drag) done(null, 0);
                else if (drag.pan) done(null, drag.from - drag.to);
                else if (drag.from !== drag.to) done(spanBetween(drag.from, drag.to), 0);
            },
            onPointerCancel: () => {
                start.current = null;
                setDrag(null);
            },
        },
    };
}

interface Place {
    width: number; // of the lines' field
    height: number;
    x: (at: number) => number;
    at: (x: number) => number;
}

function yOf(lane: Lane, line: Lane['lines'][number], value: number): number {
    const { low, high } = line.scale;
    return lane.top + lane.height * (1 - (value - low) / (high - low));
}

function drawLine(to: CanvasRenderingContext2D, place: Place, lane: Lane, one: Lane['lines'][number], line: PlotLine) {
    const { times, values, low, high } = line.points;
    const gap = gapOf(line.points);
    const y = (value: number) => yOf(lane, one, value);
    if (low && high) {
        to.save();
        to.globalAlpha *= 0.18;
        to.beginPath();
        const there = times.map((_, i) => i).filter((i) => low[i] != null && high[i] != null);
        there.forEach((i, n) => to[n ? 'lineTo' : 'moveTo'](place.x(times[i] as number), y(high[i] as number)));
        for (const i of there.reverse()) to.lineTo(place.x(times[i] as number), y(low[i] as number));
        to.fill();
        to.restore();
    }
    to.beginPath();
    let before: number | undefined;
    let lone = false;
    const dot = (i: number) => {
        to.moveTo(place.x(times[i] as number) + 1.5, y(values[i] as number));
        to.arc(place.x(times[i] as number), y(values[i] as number), 1.5, 0, 7);
    };
    for (let i = 0; i < times.length; i++) {
        const value = values[i];
        if (value === null || value === undefined) continue;
        const at = times[i] as number;
        const joined = before !== undefined && at - (times[before] as number) <= gap;
        if (joined) {
            if (lone) to.moveTo(place.x(times[before as number] as number), y(values[before as number] as number));
            to.lineTo(place.x(at), y(value));
            lone = false;
        } else {
            if (lone) dot(before as number);
            lone = true;
        }
        before = i;
    }
    if (lone && before !== undefined) dot(before);
    to.stroke();
}

function draw(canvas: HTMLCanvasElement, props: PlotProps, lanes: Lane[], place: Place) {
    const to = canvas.getContext('2d');
    if (!to) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(place.width * ratio);
    canvas.height = Math.round(place.height * ratio);
    to.scale(ratio, ratio);
    to.lineJoin = 'round';
    const colors = [...(canvas.parentElement?.querySelectorAll('[data-colors] > span') ?? [])].map(
        (span) => getComputedStyle(span).color,
    );
    for (const lane of lanes)
        for (const one of lane.lines) {
            const line = props.lines[one.at] as PlotLine;
            to.strokeStyle = to.fillStyle = colors[line.color % COLORS] ?? 'gray';
            to.lineWidth = props.focus === one.at ? 3 : 1.5;
            to.globalAlpha = props.focus < 0 || props.focus === one.at ? 1 : 0.25;
            to.setLineDash(DASHES[Math.floor(line.color / COLORS) % DASHES.length] as number[]);
            drawLine(to, place, lane, one, line);
        }
}

function Axes(props: { plot: PlotProps; lanes: Lane[]; place: Place }) {
    const { plot, lanes, place } = props;
    const times = timeTicks(plot.span.from, plot.span.to, place.width / 80, plot.utc);
    return (
        <svg class="axes" width={place.width + LEFT + RIGHT} height={place.height + TOP + BOTTOM} aria-hidden="true">
            <g transform={`translate(${LEFT} ${TOP})`}>
                {tickLabels(times, plot.utc).map((tick) => (
                    <g key={tick.at} transform={`translate(${place.x(tick.at).toFixed(1)} 0)`}>
                        <line class="grid" y2={place.height} />
                        <text y={place.height + 15} text-anchor="middle">
                            {tick.time || tick.day}
                        </text>
                        {tick.time && tick.day && (
                            <text y={place.height + 31} text-anchor="middle" class="strong">
                                {tick.day}
                            </text>
                        )}
                    </g>
                ))}
                {lanes.map((lane) => {
                    const one = lane.lines.find((line) => line.at === plot.focus) ?? lane.lines[0];
                    if (!one) return null;
                    const own = plot.axis === 'overlapped' ? plot.lines[one.at] : undefined;
                    return (
                        <g key={lane.name}>
                            {one.scale.ticks.map((tick) => (
                                <g key={tick} transform={`translate(0 ${yOf(lane, one, tick).toFixed(1)})`}>
                                    <line class="grid" x2={place.width} />
                                    <text x={-8} dy="0.32em" text-anchor="end" class={own && ink(own.color)}>
                                        {tickText(tick, one.scale.digits)}
                                    </text>
                                </g>
                            ))}
                            {(own?.name ?? lane.name) && (
                                <text x={6} y={lane.top + 14} class="strong lane">
                                    {own?.name ?? lane.name}
                                </text>
                            )}
                        </g>
                    );
                })}
            </g>
        </svg>
    );
}

interface Told {
    line: number;
    at: number;
    name: string;
    color: number;
    value: number;
    y: number;
}

/** What the lines have next to a time. */
function toldAt(plot: PlotProps, lanes: Lane[], at: number): Told[] {
    const near = Math.max(plot.step * 3, (plot.span.to - plot.span.from) / 100);
    return lanes.flatMap((lane) =>
        lane.lines.flatMap((one) => {
            const line = plot.lines[one.at] as PlotLine;
            const i = nearest(line.points, at, near);
            const value = line.points.values[i];
            if (value === null || value === undefined) return [];
            const { name, color } = line;
            return [{ line: one.at, at: line.points.times[i] as number, name, color, value, y: yOf(lane, one, value) }];
        }),
    );
}

function Readout(props: { plot: PlotProps; told: Told[]; at: number; x: number; y: number | null; width: number }) {
    const { plot, told, x, y } = props;
    const closest =
        y === null ? undefined : [...told].sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y)).slice(0, 1)[0];
    const list = closest && told.indexOf(closest) >= TOLD ? [closest, ...told.slice(0, TOLD - 1)] : told.slice(0, TOLD);
    const left = x > props.width / 2;
    return (
        <div
            class={`readout ${left ? 'left' : ''}`}
            style={left ? { right: `${props.width - x + RIGHT + 10}px` } : { left: `${LEFT + x + 10}px` }}
        >
            <div class="strong">{timeText(closest?.at ?? told[0]?.at ?? props.at, plot.utc, plot.step)}</div>
            {list.map((one) => (
                <div key={one.line} class={one === closest ? 'strong' : undefined}>
                    <i class={`swatch ${ink(one.color)}`} /> <span>{one.name}</span>
                    <b>{numberText(one.value)}</b>
                </div>
            ))}
            {told.length > list.length && <div class="quiet">and {told.length - list.length} more</div>}
        </div>
    );
}

/** What moves: the cursor and the selection. It draws itself alone. */
function Overlay(props: { plot: PlotProps; lanes: Lane[]; place: Place }) {
    const { plot, lanes, place } = props;
    const { span } = plot;
    const [cursor, setCursor] = useState<{ at: number; y: number | null } | null>(null);
    const [heard, setHeard] = useState('');
    const words = useMemo(() => summary(plot.lines, span, numberText), [plot.lines, span.from, span.to]);
    const brush = useBrush(
        (x) => place.at(Math.min(place.width, Math.max(0, x - LEFT))),
        (chosen, pan) => {
            if (pan) plot.zoom({ from: span.from + pan, to: span.to + pan });
            else plot.select(chosen);
        },
    );
    const shown = brush.drag ? (brush.drag.pan ? null : spanBetween(brush.drag.from, brush.drag.to)) : plot.selection;
    const at = cursor && cursor.at >= span.from && cursor.at <= span.to ? cursor.at : null;
    const told = at === null ? [] : toldAt(plot, lanes, at);
    const say = (time: number) => {
        const some = toldAt(plot, lanes, time).slice(0, 5);
        setHeard(
            `${timeText(time, plot.utc, plot.step)}: ` +
                (some.map((one) => `${one.name} ${numberText(one.value)}`).join(', ') || 'no values'),
        );
    };
    const step = Math.max(plot.step, (span.to - span.from) / 200);
    const move = (to: number, extend: boolean) => {
        const next = Math.min(span.to, Math.max(span.from, to));
        if (extend) {
            const from = at ?? span.from;
            const held = plot.selection;
            const fixed = held ? (Math.abs(held.from - from) < Math.abs(held.to - from) ? held.to : held.from) : from;
            if (fixed !== next) plot.select(spanBetween(fixed, next));
        }
        setCursor({ at: next, y: null });
        say(next);
    };
    const scale = (by: number) => {
        const middle = at ?? (span.from + span.to) / 2;
        plot.zoom({ from: middle - (middle - span.from) * by, to: middle + (span.to - middle) * by });
    };
    const pressed = (event: KeyboardEvent) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const here = at ?? (event.key === 'ArrowLeft' ? span.to : span.from);
        const wide = span.to - span.from;
        const keys: Record<string, () => void> = {
            ArrowLeft: () => move(at === null ? here : here - step, event.shiftKey),
            ArrowRight: () => move(at === null ? here : here + step, event.shiftKey),
            Home: () => move(span.from, event.shiftKey),
            End: () => move(span.to, event.shiftKey),
            Enter: () => plot.selection && plot.zoom(plot.selection),
            Escape: () => (plot.select(null), setCursor(null)),
            '+': () => scale(0.5),
            '-': () => scale(2),
            PageUp: () => plot.zoom({ from: span.from - wide / 2, to: span.to - wide / 2 }),
            PageDown: () => plot.zoom({ from: span.from + wide / 2, to: span.to + wide / 2 }),
        };
        if (!keys[event.key]) return;
        event.preventDefault();
        keys[event.key]?.();
    };
    return (
        <div
            class="moving"
            tabIndex={0}
            role="group"
            aria-roledescription="chart"
            aria-label={`${plot.label} ${words} Arrows move along it, with Shift they select; Enter shows the selection, plus and minus zoom, Page Up and Page Down move the time.`}
            onKeyDown={pressed}
            onBlur={() => setCursor(null)}
            onPointerLeave={() => setCursor(null)}
            {...brush.on}
            onPointerMove={(event: PointerEvent) => {
                const box = (event.currentTarget as Element).getBoundingClientRect();
                const x = event.clientX - box.left - LEFT;
                setCursor(x < 0 || x > place.width ? null : { at: place.at(x), y: event.clientY - box.top - TOP });
                brush.on.onPointerMove(event);
            }}
        >
            <svg width={place.width + LEFT + RIGHT} height={place.height + TOP + BOTTOM} aria-hidden="true">
                <g transform={`translate(${LEFT} ${TOP})`}>
                    {shown && (
                        <rect
                            class="selection"
                            x={Math.max(0, place.x(shown.from))}
                            width={Math.max(
                                1,
                                Math.min(place.width, place.x(shown.to)) - Math.max(0, place.x(shown.from)),
                            )}
                            height={place.height}
                        />
                    )}
                    {at !== null && <line class="cursor" x1={place.x(at)} x2={place.x(at)} y2={place.height} />}
                    {told.map((one) => (
                        <circle key={one.line} class={ink(one.color)} cx={place.x(one.at)} cy={one.y} r={3.5} />
                    ))}
                </g>
            </svg>
            {at !== null && told.length > 0 && !brush.drag && (
                <Readout plot={plot} told={told} at={at} x={place.x(at)} y={cursor?.y ?? null} width={place.width} />
            )}
            {brush.drag && (
                <div class="readout" style={{ left: `${LEFT + 10}px` }}>
                    {brush.drag.pan ? 'Moves the time by ' : ''}
                    {durationText(Math.abs(brush.drag.to - brush.drag.from))}
                </div>
            )}
            <div class="unseen" role="status" aria-live="polite">
                {heard}
            </div>
        </div>
    );
}

export function Plot(props: PlotProps) {
    const { box, width } = useWidth<HTMLDivElement>(800);
    const canvas = useRef<HTMLCanvasElement>(null);
    const colors = useColors();
    const { lines, axis, span } = props;
    const height = useMemo(() => plotHeight(lines, axis), [lines, axis]);
    const inner = width - LEFT - RIGHT;
    const place = useMemo<Place>(() => {
        const wide = span.to - span.from;
        return {
            width: inner,
            height,
            x: (at) => ((at - span.from) / wide) * inner,
            at: (x) => span.from + (x / inner) * wide,
        };
    }, [inner, height, span.from, span.to]);
    const lanes = useMemo(() => lanesOf(lines, axis, span, height), [lines, axis, span.from, span.to, height]);
    useLayoutEffect(() => {
        if (canvas.current) draw(canvas.current, props, lanes, place);
    }, [lanes, place, props.focus, colors]);
    return (
        <div ref={box} class="plot" style={{ height: `${height + TOP + BOTTOM}px` }}>
            <span data-colors hidden>
                {Array.from({ length: COLORS }, (_, i) => (
                    <span key={i} class={ink(i)} />
                ))}
            </span>
            <Axes plot={props} lanes={lanes} place={place} />
            <canvas
                ref={canvas}
                aria-hidden="true"
                style={{ left: `${LEFT}px`, top: `${TOP}px`, width: `${inner}px`, height: `${height}px` }}
            />
            <Overlay plot={props} lanes={lanes} place={place} />
        </div>
    );
}
