// Axes: where ticks stand, what they say, and how long an interval may be. Times are milliseconds since 1970.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const STEPS = [
    ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
    ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
    ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
    ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
    ...[1, 2, 7, 14].map((n) => n * DAY),
];
const MONTHS = [1, 3, 6, 12, 24, 60, 120, 600, 1200, 6000];

/** Midnight of a day in UTC or here. Years below 100 are years below 100. */
function midnight(year: number, month: number, day: number, utc: boolean): number {
    const date = new Date(0);
    if (utc) date.setUTCFullYear(year, month, day);
    else {
        date.setFullYear(year, month, day);
        date.setHours(0, 0, 0, 0);
    }
    return date.getTime();
}

const dayOf = (at: number, utc: boolean): [number, number, number] => {
    const date = new Date(at);
    return utc
        ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
        : [date.getFullYear(), date.getMonth(), date.getDate()];
};

function within(at: (n: number) => number, from: number, to: number): number[] {
    const ticks: number[] = [];
    for (let n = 0; n < 1000; n++) {
        const tick = at(n);
        if (!(tick <= to)) break;
        if (tick >= from && tick !== ticks.at(-1)) ticks.push(tick);
    }
    return ticks;
}

export interface TimeTicks {
    ticks: number[];
    step: number; // about
}

/** Round times from `from` to `to`, at most about `most`. */
export function timeTicks(from: number, to: number, most: number, utc: boolean): TimeTicks {
    const step = STEPS.find((one) => (to - from) / one <= most);
    const [year, month, day] = dayOf(from, utc);
    if (step === undefined) {
        const months = MONTHS.find((one) => (to - from) / (one * 30 * DAY) <= most) ?? 12000;
        const first = months < 12 ? Math.floor(month / months) * months : 0;
        const start = months < 12 ? year : Math.floor(year / (months / 12)) * (months / 12);
        return {
            ticks: within((n) => midnight(start, first + n * months, 1, utc), from, to),
            step: months * 30 * DAY,
        };
    }
    if (step >= DAY) {
        const days = step / DAY;
        return { ticks: within((n) => midnight(year, month, day + n * days, utc), from, to), step };
    }
    const start = midnight(year, month, day, utc);
    const behind = Math.floor((from - start) / step); // a day with 23 or 25 hours moves those behind its change
    return { ticks: within((n) => start + (behind + n) * step, from, to), step };
}

const formats = new Map<string, Intl.DateTimeFormat>();
function written(at: number, utc: boolean, options: Intl.DateTimeFormatOptions): string {
    const key = `${utc}${JSON.stringify(options)}`;
    let format = formats.get(key);
    if (!format) {
        format = new Intl.DateTimeFormat(undefined, { ...options, timeZone: utc ? 'UTC' : undefined });
        formats.set(key, format);
    }
    return format.format(at);
}

/** What stands at a tick: the time, and the day where it is another than at the tick before. */
export function tickLabels(times: TimeTicks, utc: boolean): { at: number; time: string; day: string }[] {
    let before = '';
    return times.ticks.map((at) => {
        const time =
            times.step >= DAY
                ? ''
                : written(at, utc, {
                      hour: '2-digit',
                      minute: '2-digit',
                      hourCycle: 'h23',
                      ...(times.step < MINUTE && { second: '2-digit' }),
                      ...(times.step < SECOND && { fractionalSecondDigits: 3 }),
                  });
        const day =
            times.step >= 300 * DAY
                ? written(at, utc, { year: 'numeric' })
                : times.step >= 28 * DAY
                  ? written(at, utc, { month: 'short', year: 'numeric' })
                  : written(at, utc, { day: 'numeric', month: 'short' });
        const shown = day === before ? '' : day;
        before = day;
        return { at, time, day: shown };
    });
}

/** A time as people read it, as exactly as `step` wants. */
export function timeText(at: number, utc: boolean, step = SECOND): string {
    return written(at, utc, {
        year: 'numeric',
        month: 'short',
        day: 'numeric',
        hour: '2-digit',
        minute: '2-digit',
        hourCycle: 'h23',
        ...(step < MINUTE && { second: '2-digit' }),
        ...(step < SECOND && { fractionalSecondDigits: 3 }),
    });
}

/** For <input type="datetime-local">. */
export function toInput(at: number, utc: boolean): string {
    const shift = utc ? 0 : new Date(at).getTimezoneOffset() * MINUTE;
    return new Date(at - shift).toISOString().slice(0, 19);
}
export function fromInput(text: string, utc: boolean): number {
    return Date.parse(utc ? `${text}Z` : text);
}

export interface Scale {
    low: number;
    high: number;
    ticks: number[];
    digits: number; // behind the point
}

/** A scale that holds `low` and `high`, with round ticks, at most about `most`. */
export function valueScale(low: number, high: number, most: number): Scale {
    if (!(low <= high)) [low, high] = [0, 1];
    if (low === 0 && high === 0) high = 1; // what counts is never less than nothing
    if (low === high) {
        const room = Math.abs(low) / 10 || 1;
        [low, high] = [low - room, high + room];
    }
    const raw = (high - low) / Math.max(1, most);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = (([1, 2, 5].find((one) => one * power >= raw) ?? 10) * power) as number;
    const first = Math.floor(low / step);
    const last = Math.ceil(high / step);
    const ticks: number[] = [];
    for (let n = first; n <= last && ticks.length < 50; n++) ticks.push(n * step);
    return { low: first * step, high: last * step, ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

export function tickText(value: number, digits: number): string {
    return value.toLocaleString(undefined, {
        maximumFractionDigits: Math.min(20, digits),
        minimumFractionDigits: Math.min(20, digits),
        notation: Math.abs(value) >= 1e6 || digits > 8 ? 'compact' : 'standard',
    });
}

export function numberText(value: number | null | undefined): string {
    if (value === null || value === undefined) return '--';
    return value.toLocaleString(undefined, { maximumSignificantDigits: 7 });
}

/* ---- intervals ---- */

const INTERVALS = [...STEPS, 30 * DAY, 90 * DAY, 365 * DAY];
const SHOWN = 400; // points of a line, where nobody has said how long an interval is
const POINTS_MAX = 2000;

/** Intervals that a span of time may have, the shortest first. */
export function intervalsOf(span: number): number[] {
    const fit = INTERVALS.filter((one) => span / one <= POINTS_MAX && span / one >= 2);
    return fit.length ? fit : [span > INTERVALS[0]! ? INTERVALS.at(-1)! : INTERVALS[0]!];
}

export function autoInterval(span: number): number {
    const all = intervalsOf(span);
    return all.find((one) => span / one <= SHOWN) ?? all.at(-1)!;
}

/** The interval that is asked for, or the next one that the span may have. */
export function intervalFor(span: number, wanted: number): number {
    if (!wanted) return autoInterval(span);
    const all = intervalsOf(span);
    return all.find((one) => one >= wanted) ?? all.at(-1)!;
}

/** "5 min" */
export function durationText(ms: number): string {
    const units: [number, string][] = [
        [DAY, 'd'],
        [HOUR, 'h'],
        [MINUTE, 'min'],
        [SECOND, 's'],
    ];
    const [size, unit] = units.find(([one]) => ms >= one) ?? [1, 'ms'];
    return `${numberText(ms / size)} ${unit}`;
}
