import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { follow, StreamPill, type Heard, type StreamState } from '../follow';
import { href, useRoute } from '../route';
import { Choice, Denied, pretty, Tabs, Text, useApi, When } from '../ui';
import { StoredTelemetry } from './stored';

const SHOWN_MAX = 500;
const DRAW_MS = 250;

export function TelemetryTab(props: { device: string }) {
    const stored = useRoute().query.get('show') === 'stored';
    const here = href('devices', props.device, 'telemetry');
    return (
        <>
            <Tabs
                label="Telemetry"
                at={stored ? `${here}?show=stored` : here}
                of={[
                    [here, 'Live'],
                    [`${here}?show=stored`, 'Stored'],
                ]}
            />
            {stored ? <StoredTelemetry device={props.device} /> : <LiveTelemetry device={props.device} />}
        </>
    );
}

function LiveTelemetry(props: { device: string }) {
    const api = useApi();
    const [from, setFrom] = useState('latest');
    const [running, setRunning] = useState(true);
    const [paused, setPaused] = useState(false);
    const [system, setSystem] = useState(false);
    const [filter, setFilter] = useState('');
    const [state, setState] = useState<StreamState>({ name: 'connecting' });
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
                <StreamPill running={running} paused={paused} state={state} />
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
                {!rows.length && (
                    <div class="empty">
                        {shown.length ? (
                            'No event holds this.'
                        ) : (
                            <>
                                No events yet. What was sent before is there from the oldest kept on; to send one:{' '}
                                <code>
                                    skerry telemetry send {props.device} '{'{"temperature": 21}'}'
                                </code>
                            </>
                        )}
                    </div>
                )}
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
