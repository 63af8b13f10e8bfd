import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { enc, type Api, type Doc } from '../api';
import { backOff, EventReader } from '../logic/stream';
import { Choice, Denied, messageOf, Pill, pretty, Text, useApi, When } from '../ui';

const SHOWN_MAX = 500;
const SILENT_MS = 40_000; // the hub says something every 15 s
const DRAW_MS = 250;

interface Heard {
    id: string;
    event: Doc;
    text: string; // what is searched
}
type State = { name: 'connecting' } | { name: 'live' } | { name: 'stale'; since: number; why: string };

/** One stream; begins again by itself, after the last event that has come, until `signal` ends it. */
async function follow(
    api: Api,
    path: string,
    signal: AbortSignal,
    heard: (list: Heard[]) => void,
    say: (state: State) => void,
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

export function TelemetryTab(props: { device: string }) {
    const api = useApi();
    const [from, setFrom] = useState('latest');
    const [running, setRunning] = useState(true);
    const [paused, setPaused] = useState(false);
    const [system, setSystem] = useState(false);
    const [filter, setFilter] = useState('');
    const [state, setState] = useState<State>({ name: 'connecting' });
    const [shown, setShown] = useState<Heard[]>([]);
    const [waiting, setWaiting] = useState(0);
    const held = useRef<Heard[]>([]); // what has come and is not drawn yet; the newest first
    const stopped = useRef(false);
    stopped.current = paused;
    useEffect(() => {
        if (!running || !api.can('service')) return;
        const end = new AbortController();
        setState({ name: 'connecting' });
        const path = `/messages/events?device=${enc(props.device)}&from=${enc(from)}`;
        const heard = (list: Heard[]) => {
            held.current = [...list.reverse(), ...held.current].slice(0, SHOWN_MAX);
        };
        void follow(api, path, end.signal, heard, setState);
        const drawing = setInterval(() => {
            setWaiting(stopped.current ? held.current.length : 0);
            if (stopped.current || !held.current.length) return;
            const more = held.current;
            held.current = [];
            setShown((before) => [...more, ...before].slice(0, SHOWN_MAX));
        }, DRAW_MS);
        return () => {
            end.abort();
            clearInterval(drawing);
        };
    }, [running, from, props.device]);
    const wanted = filter.toLowerCase();
    const rows = useMemo(() => shown.filter((one) => !wanted || one.text.includes(wanted)), [shown, wanted]);
    if (!api.can('service')) return <Denied what="read events (it lacks ServiceConnect)" />;
    return (
        <>
            <div class="row">
                <Text class="grow" label="Show events that hold" type="search" value={filter} set={setFilter} search />
                <Choice
                    label="From"
                    value={from}
                    set={(value) => {
                        held.current = [];
                        setShown([]);
                        setFrom(value);
                    }}
                    of={[
                        ['latest', 'now on'],
                        ['earliest', 'the oldest kept'],
                    ]}
                />
                <div class="actions">
                    <button type="button" class="first" onClick={() => setRunning(!running)}>
                        {running ? 'Stop' : 'Start'}
                    </button>
                    <button type="button" aria-pressed={paused} disabled={!running} onClick={() => setPaused(!paused)}>
                        {paused ? `Go on${waiting ? ` (${waiting} wait)` : ''}` : 'Pause'}
                    </button>
                    <button
                        type="button"
                        onClick={() => {
                            held.current = [];
                            setShown([]);
                        }}
                    >
                        Clear
                    </button>
                </div>
            </div>
            <div class="actions">
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
                <label class="check">
                    <input
                        type="checkbox"
                        checked={system}
                        onChange={(event) => setSystem(event.currentTarget.checked)}
                    />
                    System properties
                </label>
                <span class="quiet">
                    {rows.length} shown, of at most {SHOWN_MAX}
                </span>
            </div>
            <div class="events" tabIndex={0} role="region" aria-label="Events">
                {rows.map((one) => (
                    <article class="event" key={one.id}>
                        <When at={one.event.enqueuedTimeUtc} />
                        <div>
                            <pre>{typeof one.event.body === 'string' ? one.event.body : pretty(one.event.body)}</pre>
                            <EventProperties event={one.event} system={system} />
                        </div>
                    </article>
                ))}
                {!rows.length && <div class="empty">{shown.length ? 'No event holds this.' : 'No events yet.'}</div>}
            </div>
        </>
    );
}

function EventProperties(props: { event: Doc; system: boolean }) {
    const own = Object.entries((props.event.properties ?? {}) as Doc);
    const others = props.system ? Object.entries((props.event.systemProperties ?? {}) as Doc) : [];
    const module = props.event.moduleId ? [['module', props.event.moduleId] as const] : [];
    const all = [...module, ...own, ...others];
    if (!all.length) return null;
    return (
        <p class="quiet mono">
            {all
                .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
                .join('  ')}
        </p>
    );
}
