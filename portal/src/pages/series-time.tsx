import { useState } from 'preact/hooks';
import { DAY, durationText, fromInput, HOUR, intervalFor, intervalsOf, timeText, toInput } from '../logic/axes';
import type { Span, View } from '../logic/explorer';
import { useBrush, useWidth } from '../plot';
import { useAvailability, type Availability } from '../series-data';
import { Choice, Failure, Field } from '../ui';
import { FormDialog } from '../forms';

const MINUTE = HOUR / 60;
const BAR = 32; // px
export const quick: [number, string][] = [
    [30 * MINUTE, 'Last 30 minutes'],
    [HOUR, 'Last hour'],
    [6 * HOUR, 'Last 6 hours'],
    [12 * HOUR, 'Last 12 hours'],
    [DAY, 'Last day'],
    [7 * DAY, 'Last 7 days'],
    [30 * DAY, 'Last 30 days'],
];
const refreshes: [number, string][] = [
    [0, 'Off'],
    [5, '5 s'],
    [10, '10 s'],
    [30, '30 s'],
    [60, '1 min'],
];

function CustomTime(props: { span: Span; utc: boolean; close: () => void; set: (span: Span) => void }) {
    const [from, setFrom] = useState(toInput(props.span.from, props.utc));
    const [to, setTo] = useState(toInput(props.span.to, props.utc));
    const span = { from: fromInput(from, props.utc), to: fromInput(to, props.utc) };
    const wrong = span.from < span.to ? '' : 'The end is later than the beginning.';
    const input = (label: string, value: string, set: (text: string) => void, said: string) => (
        <Field class="grow" label={label} wrong={said}>
            {(id, described) => (
                <input
                    id={id}
                    type="datetime-local"
                    step={1}
                    value={value}
                    required
                    aria-describedby={described}
                    onInput={(event) => set(event.currentTarget.value)}
                />
            )}
        </Field>
    );
    return (
        <FormDialog
            title="From when to when"
            action="Show"
            ready={!wrong}
            close={props.close}
            send={() => Promise.resolve(props.set(span))}
        >
            <div class="row">
                {input(props.utc ? 'From (UTC)' : 'From (local time)', from, setFrom, '')}
                {input(props.utc ? 'To (UTC)' : 'To (local time)', to, setTo, wrong)}
            </div>
        </FormDialog>
    );
}

/** All the time there is; what is shown of it stands out, and another stretch is chosen by dragging. */
function Bar(props: { all: Availability; span: Span; utc: boolean; set: (span: Span) => void }) {
    const { box, width } = useWidth<HTMLDivElement>(800);
    const { all, span } = props;
    const from = all.from;
    const wide = Math.max(all.to, Date.now()) - from;
    const x = (at: number) => Math.min(width, Math.max(0, ((at - from) / wide) * width));
    const step = span.to - span.from > HOUR ? MINUTE : 0;
    const most = Math.max(1, ...all.bars.map((bar) => bar.events));
    const brush = useBrush(
        (at) => from + (Math.min(width, Math.max(0, at)) / width) * wide,
        (chosen) => chosen && props.set(chosen),
    );
    const shown = brush.drag
        ? { from: Math.min(brush.drag.from, brush.drag.to), to: Math.max(brush.drag.from, brush.drag.to) }
        : span;
    return (
        <div class="availability" ref={box}>
            <svg width={width} height={BAR} aria-hidden="true" {...brush.on}>
                {all.bars.map((bar) => {
                    const height = Math.max(2, Math.sqrt(bar.events / most) * 30);
                    return (
                        <rect
                            key={bar.at}
                            class="bar"
                            x={x(bar.at)}
                            width={Math.max(1, x(bar.at + all.width) - x(bar.at) - 0.5)}
                            y={BAR - height}
                            height={height}
                        />
                    );
                })}
                <rect
                    class="selection"
                    x={x(shown.from)}
                    width={Math.max(2, x(shown.to) - x(shown.from))}
                    height={BAR}
                />
            </svg>
            <div class="scale">
                <span>{timeText(from, props.utc, HOUR)}</span>
                <span role="status">
                    Shown: {timeText(span.from, props.utc, step)} – {timeText(span.to, props.utc, step)}
                    {props.utc ? ' UTC' : ''}
                </span>
                <span>now</span>
            </div>
        </div>
    );
}

export interface TimeProps {
    view: View;
    span: Span;
    turn: number;
    set: (change: Partial<View>) => void;
    move: (change: Partial<View>) => void; // another time: it can be taken back
}

export function TimeBar(props: TimeProps) {
    const { view, span, set, move } = props;
    const [custom, setCustom] = useState(false);
    const available = useAvailability(props.turn);
    const wide = span.to - span.from;
    const fixed = (next: Span) => move({ last: 0, from: next.from, to: next.to });
    const intervals = intervalsOf(wide);
    const interval = intervalFor(wide, view.interval);
    const chosen = quick.some(([ms]) => ms === view.last);
    const options: [string, string][] = [
        ...quick.map(([ms, text]): [string, string] => [String(ms), text]),
        ...(chosen || !view.last ? [] : [[String(view.last), `Last ${durationText(view.last)}`] as [string, string]]),
        ...(available.data ? ([['all', 'All there is']] as [string, string][]) : []),
        ['custom', 'Custom…'],
        ...(view.last ? [] : ([['0', 'As chosen']] as [string, string][])),
    ];
    const pick = (value: string) => {
        if (value === 'custom') setCustom(true);
        else if (value === 'all' && available.data) fixed({ from: available.data.from, to: available.data.to });
        else if (value !== '0') move({ last: Number(value) });
    };
    return (
        <section class="panel" aria-label="Time">
            <Failure text={available.error} retry={available.reload} />
            {available.data && <Bar all={available.data} span={span} utc={view.utc} set={fixed} />}
            <div class="row times">
                <Choice label="Time" value={String(view.last)} set={pick} of={options} />
                <Choice
                    label="Time zone"
                    value={view.utc ? 'utc' : ''}
                    set={(zone) => set({ utc: zone === 'utc' })}
                    of={[
                        ['', 'Local'],
                        ['utc', 'UTC'],
                    ]}
                />
                <Field label={`Interval: ${durationText(interval)}${view.interval ? '' : ' (as it fits)'}`}>
                    {(id) => (
                        <input
                            id={id}
                            type="range"
                            min={0}
                            max={intervals.length - 1}
                            value={intervals.indexOf(interval)}
                            aria-valuetext={durationText(interval)}
                            onChange={(event) => set({ interval: intervals[Number(event.currentTarget.value)] ?? 0 })}
                        />
                    )}
                </Field>
                {view.interval > 0 && (
                    <button type="button" class="small" onClick={() => set({ interval: 0 })}>
                        Interval as it fits
                    </button>
                )}
                <Choice
                    label="Refresh"
                    value={String(view.refresh)}
                    set={(text) => set({ refresh: Number(text) })}
                    of={refreshes.map(([s, text]) => [String(s), text])}
                />
            </div>
            {custom && <CustomTime span={span} utc={view.utc} close={() => setCustom(false)} set={fixed} />}
        </section>
    );
}

/** Earlier, later, closer, wider, and back. */
export function TimeButtons(props: { span: Span; back: (() => void) | null; show: (span: Span) => void }) {
    const { span, show } = props;
    const wide = span.to - span.from;
    const moved = (by: number) => show({ from: span.from + wide * by, to: span.to + wide * by });
    const scaled = (by: number) => {
        const middle = (span.from + span.to) / 2;
        show({ from: middle - (wide / 2) * by, to: middle + (wide / 2) * by });
    };
    return (
        <div class="actions times" role="group" aria-label="Move the time">
            <button type="button" disabled={!props.back} onClick={() => props.back?.()}>
                Back
            </button>
            <button type="button" aria-label="Earlier" onClick={() => moved(-0.5)}>
                ‹
            </button>
            <button type="button" aria-label="Later" onClick={() => moved(0.5)}>
                ›
            </button>
            <button type="button" aria-label="Zoom in" onClick={() => scaled(0.5)}>
                +
            </button>
            <button type="button" aria-label="Zoom out" onClick={() => scaled(2)}>
                −
            </button>
        </div>
    );
}
