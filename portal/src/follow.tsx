// Streams of the hub, telemetry or its own events, as pages follow them.
import type { Api, Doc } from './api';
import { backOff, EventReader } from './logic/stream';
import { messageOf, Pill } from './ui';

const SILENT_MS = 40_000; // the hub says something every 15 s

export interface Heard {
    id: string;
    event: Doc;
    text: string; // what is searched
}
export type StreamState = { name: 'connecting' } | { name: 'live' } | { name: 'stale'; since: number; why: string };

/** One stream; begins again by itself, after the last event that has come, until `signal` ends it. */
export async function follow(
    api: Api,
    path: string,
    signal: AbortSignal,
    heard: (list: Heard[]) => void,
    say: (state: StreamState) => void,
) {
    let attempt = 0;
    let last = '';
    while (!signal.aborted) {
        let alive = Date.now();
        const end = new AbortController();
        const stop = () => end.abort();
        signal.addEventListener('abort', stop);
        const watchdog = setInterval(() => Date.now() - alive > SILENT_MS && end.abort(), 1000);
        let why = 'the stream has ended';
        try {
            const answer = await api.raw(path, { signal: end.signal, headers: last ? { 'Last-Event-ID': last } : {} });
            const stream = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
            const reader = new EventReader();
            say({ name: 'live' });
            attempt = 0;
            for (;;) {
                const part = await stream?.read();
                if (!part || part.done) break;
                alive = Date.now();
                const events = reader.feed(part.value);
                last = events.at(-1)?.id ?? last;
                if (events.length)
                    heard(
                        events.map(({ id, data }) => ({
                            id,
                            event: JSON.parse(data) as Doc,
                            text: data.toLowerCase(),
                        })),
                    );
            }
        } catch (error) {
            why = messageOf(error);
        }
        clearInterval(watchdog);
        signal.removeEventListener('abort', stop);
        end.abort();
        if (signal.aborted) return;
        say({ name: 'stale', since: alive, why });
        await new Promise((resolve) => setTimeout(resolve, backOff(attempt++)));
    }
}

export function StreamPill(props: { running: boolean; paused: boolean; state: StreamState }) {
    const { running, paused, state } = props;
    return (
        <span role="status">
            {!running ? (
                <Pill>Stopped</Pill>
            ) : paused ? (
                <Pill kind="warn">Paused; the connection stays</Pill>
            ) : state.name === 'live' ? (
                <Pill kind="good">Live</Pill>
            ) : state.name === 'connecting' ? (
                <Pill>Connecting…</Pill>
            ) : (
                <Pill kind="bad">
                    Stale since {new Date(state.since).toLocaleTimeString()}: {state.why}
                </Pill>
            )}
        </span>
    );
}
