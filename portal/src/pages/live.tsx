import { useEffect, useRef, useState } from 'preact/hooks';
import { TimeChart, type Line } from '../chart';
import { follow, StreamPill, type StreamState } from '../follow';
import { addLines, freshView, writeView } from '../logic/explorer';
import { DEVICES_MAX, METRICS_MAX, SeriesSet } from '../logic/series';
import { changeQuery, hrefWith, useRoute } from '../route';
import { useApi } from '../ui';

const FIRST_MS = 15 * 60_000; // how far back it begins
const DRAW_MS = 500;
const BEHIND_MS = 60_000; // so far behind the hub, what is older is skipped
const CATCH_UP_MS = 10_000;
const EXPLORED = 12; // lines that a link takes along

/** The same metric in the explorer; a module's series has another id. */
function explorer(metric: string, names: string[]): string {
    const ids = names.filter((name) => !name.includes('/')).map((name) => ({ id: [name] }));
    const lines = addLines([], ids.slice(0, EXPLORED), metric);
    return hrefWith(writeView({ ...freshView, axis: 'shared', lines }), 'series');
}

/** Numbers of the event stream as lines. `devices`: only theirs; null: everybody's. */
export function LiveTelemetry(props: { devices: Set<string> | null }) {
    const api = useApi();
    const { query } = useRoute();
    const [paused, setPaused] = useState(false);
    const [state, setState] = useState<StreamState>({ name: 'connecting' });
    const [skipped, setSkipped] = useState(false);
    const [turn, draw] = useState(0);
    const series = useRef(new SeriesSet());
    const allowed = useRef(props.devices);
    allowed.current = props.devices;
    useEffect(() => {
        const end = new AbortController();
        const began = Date.now();
        const from = skipped ? 'latest' : new Date(began - FIRST_MS).toISOString();
        let fresh = false;
        void follow(
            api,
            `/messages/events?from=${encodeURIComponent(from)}`,
            end.signal,
            (list) => {
                for (const { event } of list) {
                    const at = Date.parse(String(event.enqueuedTimeUtc));
                    const device = String(event.deviceId);
                    if (Number.isNaN(at) || (allowed.current && !allowed.current.has(device))) continue;
                    series.current.take(
                        event.moduleId ? `${device}/${String(event.moduleId)}` : device,
                        at,
                        event.body,
                    );
                }
                fresh = true;
                const last = Date.parse(String(list.at(-1)?.event.enqueuedTimeUtc));
                if (!skipped && Date.now() - began > CATCH_UP_MS && Date.now() - last > BEHIND_MS) setSkipped(true);
            },
            setState,
        );
        const drawing = setInterval(() => {
            if (!fresh || document.hidden) return;
            fresh = false;
            draw((n) => n + 1);
        }, DRAW_MS);
        return () => {
            end.abort();
            clearInterval(drawing);
        };
    }, [skipped]);
    const held = useRef<{ names: [string, number][]; lines: Line[]; metric: string; turn: number } | null>(null);
    const names = series.current.names();
    const asked = query.get('metric') ?? '';
    const metric = names.some(([name]) => name === asked) ? asked : (names[0]?.[0] ?? '');
    const old = held.current;
    if (!old || old.metric !== metric || (!paused && old.turn !== turn))
        held.current = {
            names,
            metric,
            turn,
            lines: series.current.of(metric).map(([name, points]) => ({ name, points: [...points] })),
        };
    const now = held.current as NonNullable<typeof held.current>;
    const { left } = series.current;
    return (
        <>
            <div class="actions">
                <StreamPill running paused={paused} state={state} />
                <button type="button" class="small" aria-pressed={paused} onClick={() => setPaused(!paused)}>
                    {paused ? 'Go on' : 'Pause'}
                </button>
                {now.lines.length > 0 && (
                    <a
                        href={explorer(
                            metric,
                            now.lines.map((line) => line.name),
                        )}
                    >
                        Explore in time series
                    </a>
                )}
                {skipped && (
                    <span class="quiet">The hub sent more than this page takes; what was older is skipped.</span>
                )}
            </div>
            {names.length > 0 && (
                <div class="chips" role="group" aria-label="Metric">
                    {now.names.map(([name, count]) => (
                        <button
                            key={name}
                            type="button"
                            class="small"
                            aria-pressed={name === metric}
                            onClick={() => changeQuery({ metric: name })}
                        >
                            {name} [{count}]
                        </button>
                    ))}
                </div>
            )}
            <TimeChart
                key={metric}
                title={metric || 'Telemetry'}
                empty="No numbers have come in the last quarter of an hour."
                lines={now.lines}
            />
            {(left.devices.size > 0 || left.metrics.size > 0) && (
                <p class="quiet">
                    At most {METRICS_MAX} metrics and {DEVICES_MAX} devices of each are drawn
                    {left.devices.size > 0 && `; ${left.devices.size} more devices are not`}
                    {left.metrics.size > 0 && `; ${left.metrics.size} more metrics are not`}. A device group narrows it.
                </p>
            )}
        </>
    );
}
