// Lines of one metric as they come: a plot, a legend that shows and hides them, and all of it as a table.
import { useMemo, useState } from 'preact/hooks';
import { numberText, timeText } from './logic/axes';
import type { Span } from './logic/explorer';
import type { SeriesPoint } from './logic/series';
import { ink, Plot } from './plot';
import { AsTable, Table } from './ui';

const ROWS_MAX = 200; // of the table
const STEP = 1000; // ms between points, about

export interface Line {
    name: string;
    points: SeriesPoint[];
}

/** From the first point to the last; a lone one has a minute around it. */
function spanOf(lines: Line[]): Span {
    let [from, to] = [Infinity, -Infinity];
    for (const { points } of lines) {
        from = Math.min(from, points[0]?.at ?? Infinity);
        to = Math.max(to, points.at(-1)?.at ?? -Infinity);
    }
    return to > from ? { from, to } : { from: to - 30_000, to: to + 30_000 };
}

export function TimeChart(props: { title: string; lines: Line[]; empty: string }) {
    const { title, lines, empty } = props;
    const [hidden, hide] = useState<Set<string>>(new Set());
    const [selection, select] = useState<Span | null>(null);
    const [zoomed, zoom] = useState<Span | null>(null);
    const shown = useMemo(
        () =>
            lines
                .map((line, color) => ({ ...line, color }))
                .filter((line) => line.points.length && !hidden.has(line.name)),
        [lines, hidden],
    );
    const plotted = useMemo(
        () =>
            shown.map(({ name, color, points }) => ({
                name,
                color,
                property: title,
                points: { times: points.map((one) => one.at), values: points.map((one) => one.value) },
            })),
        [shown, title],
    );
    const toggle = (name: string) => {
        const next = new Set(hidden);
        if (!next.delete(name)) next.add(name);
        hide(next);
    };
    return (
        <>
            {shown.length ? (
                <Plot
                    label={`${title}: ${shown.length} line${shown.length === 1 ? '' : 's'}.`}
                    lines={plotted}
                    span={zoomed ?? spanOf(shown)}
                    axis="shared"
                    utc={false}
                    step={STEP}
                    focus={-1}
                    selection={selection}
                    select={select}
                    zoom={(span) => {
                        select(null);
                        if (span.to - span.from >= STEP) zoom(span);
                    }}
                />
            ) : (
                <p class="empty">{lines.length ? 'All lines are hidden.' : empty}</p>
            )}
            {(selection || zoomed) && (
                <div class="actions">
                    {selection && (
                        <button type="button" class="small" onClick={() => (zoom(selection), select(null))}>
                            Show the selection alone
                        </button>
                    )}
                    {zoomed && (
                        <button type="button" class="small" onClick={() => zoom(null)}>
                            Show all that has come
                        </button>
                    )}
                </div>
            )}
            {lines.length > 0 && (
                <div class="legend" role="group" aria-label="Lines">
                    {lines.map((line, color) => {
                        const last = line.points.at(-1);
                        return (
                            <button
                                key={line.name}
                                type="button"
                                class="small"
                                aria-pressed={!hidden.has(line.name)}
                                onClick={() => toggle(line.name)}
                            >
                                <i class={`swatch ${ink(color)}`} />
                                <span>{line.name}</span> <strong>{last ? numberText(last.value) : '--'}</strong>
                            </button>
                        );
                    })}
                </div>
            )}
            <AsTable>
                {() => (
                    <Table
                        label={title}
                        empty={empty}
                        rows={shown
                            .flatMap((line) => line.points.map((one) => ({ ...one, name: line.name })))
                            .sort((a, b) => b.at - a.at)
                            .slice(0, ROWS_MAX)}
                        columns={[
                            { name: 'Time', cell: (one) => timeText(one.at, false) },
                            { name: 'Device', cell: (one) => one.name },
                            { name: title, number: true, cell: (one) => numberText(one.value) },
                        ]}
                    />
                )}
            </AsTable>
        </>
    );
}
