// What pages look at changes while they do: the hub tells, over one stream of its own events.
import { useEffect, useRef, useState } from 'preact/hooks';
import { enc, type Doc } from './api';
import { follow, StreamPill, type StreamState } from './follow';
import { useApi } from './ui';

const LEAST_MS = 2000; // from one look to the next, however much changes
const STALE_MS = 15_000; // without a stream it is looked so often
const SLOW_MS = 60_000; // with one, too: "the last hour" moves on

export interface Notice {
    what: string; // "updateTwin", "deviceConnected", …
    device: string;
    module: string;
    body: Doc;
}
export interface Live {
    tick: number; // grows when it is time to look again
    state: StreamState;
    paused: boolean;
    pause: (on: boolean) => void;
}

/** Follows the hub's own events of these sources, with commas between. `heard` gets each; `slow`: what is shown moves with time as well. */
export function useNotices(
    sources: string,
    how: { device?: string; heard?: (list: Notice[]) => void; slow?: boolean; off?: boolean; least?: number } = {},
): Live {
    const api = useApi();
    const [tick, setTick] = useState(0);
    const [state, setState] = useState<StreamState>({ name: 'connecting' });
    const [paused, pause] = useState(false);
    const now = useRef({ paused, heard: how.heard, fresh: false, stale: false, looked: Date.now() });
    now.current.paused = paused;
    now.current.heard = how.heard;
    const may = api.can('service') && !how.off;
    useEffect(() => {
        if (!may) return;
        const end = new AbortController();
        const held = now.current;
        const path = `/messages/notices?source=${enc(sources)}` + (how.device ? `&device=${enc(how.device)}` : '');
        void follow(
            api,
            path,
            end.signal,
            (list) => {
                held.fresh = true;
                held.heard?.(
                    list.map(({ event }) => ({
                        what: String((event.properties as Doc | undefined)?.opType ?? ''),
                        device: String(event.deviceId ?? ''),
                        module: String(event.moduleId ?? ''),
                        body: (event.body ?? {}) as Doc,
                    })),
                );
            },
            (next) => {
                if (next.name === 'live' && held.stale) held.fresh = true; // what came meanwhile nobody tells
                held.stale = next.name === 'stale';
                setState(next);
            },
        );
        const timer = setInterval(() => {
            const ago = Date.now() - held.looked;
            const due =
                (held.fresh && ago >= (how.least ?? LEAST_MS)) ||
                (held.stale && ago >= STALE_MS) ||
                (how.slow && ago >= SLOW_MS);
            if (!due || held.paused || document.hidden) return;
            held.fresh = false;
            held.looked = Date.now();
            setTick((n) => n + 1);
        }, 500);
        return () => {
            end.abort();
            clearInterval(timer);
        };
    }, [sources, how.device, may]);
    return { tick, state, paused, pause };
}

/** Says whether a page lives, and lets it stand still. */
export function LiveBar(props: { live: Live }) {
    const { state, paused, pause } = props.live;
    const api = useApi();
    if (!api.can('service')) return null;
    return (
        <span class="actions">
            <StreamPill running paused={paused} state={state} />
            <button
                type="button"
                class="small"
                aria-pressed={paused}
                aria-label={paused ? 'Go on with the page' : 'Pause the page'}
                onClick={() => pause(!paused)}
            >
                {paused ? 'Go on' : 'Pause'}
            </button>
        </span>
    );
}
