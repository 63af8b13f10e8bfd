import {
    aggregatesOf,
    aggregateText,
    COLORS,
    freeColor,
    LINES_MAX,
    lineText,
    RAW,
    seriesText,
    signals,
    type Line,
    type Signal,
} from '../logic/explorer';
import { durationText, HOUR, DAY } from '../logic/axes';
import { ink } from '../plot';
import { Check } from '../forms';
import { Dialog, Choice } from '../ui';
import { useState } from 'preact/hooks';

const colors = ['teal', 'orange', 'violet', 'green', 'pink', 'blue', 'ochre', 'red', 'grey', 'emerald', 'purple'];
const dashes = ['', ', dashed', ', dotted', ', dashed and dotted', ', long dashes'];
const shifts = [0, HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY];

function LineForm(props: {
    line: Line;
    set: (line: Line) => void;
    setAll: (line: Line) => void;
    twice: (() => void) | null;
    close: () => void;
}) {
    const { line, set } = props;
    const known = aggregatesOf(line.signal);
    return (
        <Dialog title={lineText(line)} close={props.close}>
            <form method="dialog">
                <div class="row">
                    <Choice
                        class="grow"
                        label="Of each interval"
                        value={line.aggregate}
                        set={(aggregate) => set({ ...line, aggregate, band: line.band && aggregate !== RAW })}
                        of={known.map((name) => [name, aggregateText({ ...line, aggregate: name, signal: '' })])}
                    />
                    <Choice
                        class="grow"
                        label="Between points"
                        value={line.signal}
                        set={(text) => {
                            const signal = text as Signal;
                            const next = aggregatesOf(signal);
                            set({
                                ...line,
                                signal,
                                aggregate: next.includes(line.aggregate) ? line.aggregate : (next[0] as string),
                            });
                        }}
                        of={signals.map((name) => [name, name || 'nothing is known'])}
                    />
                    <Choice
                        class="grow"
                        label="Colour"
                        value={String(line.color)}
                        set={(color) => set({ ...line, color: Number(color) })}
                        of={Array.from({ length: COLORS * dashes.length }, (_, i) => [
                            String(i),
                            `${colors[i % COLORS]}${dashes[Math.floor(i / COLORS)]}`,
                        ])}
                    />
                    <Choice
                        class="grow"
                        label="Time shift"
                        value={String(line.shift)}
                        set={(shift) => set({ ...line, shift: Number(shift) })}
                        of={[...new Set([...shifts, line.shift])].map((ms) => [
                            String(ms),
                            ms ? `${durationText(ms)} earlier` : 'none',
                        ])}
                    />
                </div>
                <Check
                    label="Band from the least to the greatest value of each interval"
                    value={line.band}
                    disabled={line.aggregate === RAW}
                    set={(band) => set({ ...line, band })}
                />
                <div class="actions">
                    <button type="button" onClick={() => props.setAll(line)}>
                        The same for all of {line.property}
                    </button>
                    <button type="button" disabled={!props.twice} onClick={() => props.twice?.()}>
                        Duplicate
                    </button>
                    <button class="first">Close</button>
                </div>
            </form>
        </Dialog>
    );
}

/** The lines that are chosen: how each is drawn, and what is computed of it. */
export function Well(props: {
    lines: Line[];
    last: (line: Line) => string;
    focus: number;
    setFocus: (at: number) => void;
    set: (lines: Line[]) => void;
}) {
    const { lines, set } = props;
    const [open, setOpen] = useState(-1);
    const change = (at: number, line: Line) => set(lines.map((one, i) => (i === at ? line : one)));
    const opened = lines[open];
    return (
        <section class="panel well" aria-label="Lines of the chart">
            <ul>
                {lines.map((line, i) => (
                    <li
                        key={i}
                        class={line.hidden ? 'hidden' : undefined}
                        onPointerEnter={() => props.setFocus(line.hidden ? -1 : i)}
                        onPointerLeave={() => props.setFocus(-1)}
                        onFocusCapture={() => props.setFocus(line.hidden ? -1 : i)}
                        onBlurCapture={() => props.setFocus(-1)}
                    >
                        <i class={`swatch ${ink(line.color)}`} />
                        <button type="button" class="name" onClick={() => setOpen(i)}>
                            <span>
                                <span class="unseen">Change </span>
                                {seriesText(line)}{' '}
                            </span>
                            <span class="quiet">
                                {line.property} · {aggregateText(line)}
                                {line.shift ? ` · ${durationText(line.shift)} earlier` : ''}
                            </span>
                        </button>
                        <b>{props.last(line)}</b>
                        <button
                            type="button"
                            class="small"
                            aria-label={`${line.hidden ? 'Show' : 'Hide'} ${lineText(line)}`}
                            onClick={() => change(i, { ...line, hidden: !line.hidden })}
                        >
                            {line.hidden ? 'Show' : 'Hide'}
                        </button>
                        <button
                            type="button"
                            class="small"
                            aria-label={`Remove ${lineText(line)}`}
                            onClick={() => {
                                props.setFocus(-1);
                                set(lines.filter((_, other) => other !== i));
                            }}
                        >
                            <span aria-hidden="true">×</span>
                        </button>
                    </li>
                ))}
            </ul>
            {!lines.length && <p class="quiet">Choose series and a property to draw them.</p>}
            {lines.length > 1 && (
                <div class="actions">
                    <button type="button" class="small" onClick={() => set([])}>
                        Remove all
                    </button>
                </div>
            )}
            {opened && (
                <LineForm
                    line={opened}
                    set={(line) => change(open, line)}
                    setAll={(of) =>
                        set(
                            lines.map((one) =>
                                one.property === of.property
                                    ? { ...of, id: one.id, color: one.color, hidden: one.hidden }
                                    : one,
                            ),
                        )
                    }
                    twice={
                        lines.length < LINES_MAX ? () => set([...lines, { ...opened, color: freeColor(lines) }]) : null
                    }
                    close={() => setOpen(-1)}
                />
            )}
        </section>
    );
}
