// Where things stand in a chart: lanes, scales, the point next to a time.
import { valueScale, type Scale } from './axes';
import type { Axis, Points, Span } from './explorer';

export interface PlotLine {
    name: string;
    property: string;
    color: number;
    points: Points;
}

export interface Lane {
    name: string; // a property, or none
    lines: { at: number; scale: Scale }[]; // places in the list of lines
    top: number; // px
    height: number;
}

export const LANE_LEAST = 120; // px
export const PLOT_LEAST = 320;
const TICK_ROOM = 34; // px between ticks of a value

/** The least and the greatest that lines have within a span. */
function extent(lines: PlotLine[], span: Span): [number, number] {
    let low = Infinity;
    let high = -Infinity;
    for (const { points } of lines) {
        points.times.forEach((time, i) => {
            if (time < span.from || time > span.to) return;
            for (const value of [points.values[i], points.low?.[i], points.high?.[i]]) {
                if (value === null || value === undefined) continue;
                if (value < low) low = value;
                if (value > high) high = value;
            }
        });
    }
    return [low, high];
}

/** Lanes from the top to the bottom: one for each property where they are stacked, else one. */
export function lanesOf(lines: PlotLine[], axis: Axis, span: Span, height: number): Lane[] {
    const names = axis === 'stacked' ? [...new Set(lines.map((line) => line.property))] : [''];
    if (!names.length) names.push('');
    const gap = 20; // px
    const each = (height - gap * (names.length - 1)) / names.length;
    return names.map((name, i) => {
        const own = lines.map((_, at) => at).filter((at) => axis !== 'stacked' || lines[at]?.property === name);
        const scaleOf = (list: PlotLine[]) => valueScale(...extent(list, span), Math.max(2, each / TICK_ROOM));
        const pick = (at: number) => lines[at] as PlotLine;
        const shared = scaleOf(own.map(pick));
        return {
            name,
            lines: own.map((at) => ({ at, scale: axis === 'overlapped' ? scaleOf([pick(at)]) : shared })),
            top: i * (each + gap),
            height: each,
        };
    });
}

/** What a chart shows, in a few words: of each property its least and greatest value. */
export function summary(lines: PlotLine[], span: Span, number: (value: number) => string): string {
    const names = [...new Set(lines.map((line) => line.property))].slice(0, 5);
    const said = names.map((name) => {
        const [low, high] = extent(
            lines.filter((line) => line.property === name),
            span,
        );
        return low <= high ? `${name} from ${number(low)} to ${number(high)}` : `${name} without values`;
    });
    return said.length ? `${said.join('; ')}.` : '';
}

export const plotHeight = (lines: PlotLine[], axis: Axis) =>
    axis === 'stacked'
        ? Math.max(PLOT_LEAST, new Set(lines.map((line) => line.property)).size * LANE_LEAST)
        : PLOT_LEAST;

/** The place of the point that is next to a time; -1: there is none near. */
export function nearest(points: Points, at: number, near: number): number {
    const { times, values } = points;
    let low = 0;
    let high = times.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if ((times[middle] as number) < at) low = middle + 1;
        else high = middle;
    }
    const before = (from: number) => {
        for (let i = from; i >= 0; i--) if (values[i] !== null) return i;
        return -1;
    };
    const behind = (from: number) => {
        for (let i = from; i < times.length; i++) if (values[i] !== null) return i;
        return -1;
    };
    const away = (i: number) => (i < 0 ? Infinity : Math.abs((times[i] as number) - at));
    const [a, b] = [before(low - 1), behind(low)];
    const best = away(a) < away(b) ? a : b;
    return away(best) <= near ? best : -1;
}

/** How far apart two points may be to have a line between them: some times what is usual. */
export function gapOf(points: Points): number {
    const gaps: number[] = [];
    let before: number | undefined;
    points.times.forEach((time, i) => {
        if (points.values[i] === null) return;
        if (before !== undefined) gaps.push(time - before);
        before = time;
    });
    gaps.sort((a, b) => a - b);
    return gaps.length ? 5 * (gaps[gaps.length >> 1] as number) : Infinity;
}
