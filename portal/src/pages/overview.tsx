import { useEffect, useState } from 'preact/hooks';
import type { Doc } from '../api';
import { useHub } from '../hub';
import { href } from '../route';
import { Chart, Copy, Denied, Failure, messageOf, Shimmer, useApi } from '../ui';

const EVERY_MS = 5000;
const KEPT = 120; // points: ten minutes
const NO_LIMIT = 1e15; // a hub without a tier says 2^63-1

interface Metric {
    name: string;
    currentValue: number;
    maxValue: number;
}
interface Now {
    at: number;
    devices: number | null;
    enabled: number | null;
    connected: number | null;
    messages: Metric | null;
}
interface Point {
    at: number;
    value: number;
}

// Without a tier the hub counts no day's messages.
const counted = (metric: Metric) => metric.maxValue < NO_LIMIT;

const count = (value: number | null | undefined) =>
    value === null || value === undefined ? '--' : value.toLocaleString();

export function OverviewPage() {
    const api = useApi();
    const owner = api.can('owner');
    const hub = useHub();
    const name = hub.data?.name ?? '';
    const sku = (hub.data?.sku ?? {}) as Doc;
    const [now, setNow] = useState<Now | null>(null);
    const [failure, setFailure] = useState('');
    const [connected, setConnected] = useState<Point[]>([]);
    const [messages, setMessages] = useState<Point[]>([]);
    useEffect(() => {
        if (hub.loading) return;
        let timer = 0;
        let ended = false;
        let before: Now | null = null;
        const look = async () => {
            try {
                const [devices, service, quota] = await Promise.all([
                    api.can('read') ? api.ask('/statistics/devices') : null,
                    api.can('service') ? api.ask('/statistics/service') : null,
                    name ? api.arm<{ value: Metric[] }>(name, '/quotaMetrics') : null,
                ]);
                if (ended) return;
                const next: Now = {
                    at: Date.now(),
                    devices: devices ? Number(devices.totalDeviceCount) : null,
                    enabled: devices ? Number(devices.enabledDeviceCount) : null,
                    connected: service ? Number(service.connectedDeviceCount) : null,
                    messages: quota?.value.find((metric) => metric.name === 'TotalMessages') ?? null,
                };
                setFailure('');
                setNow(next);
                const add = (value: number) => (points: Point[]) => [...points.slice(1 - KEPT), { at: next.at, value }];
                if (next.connected !== null) setConnected(add(next.connected));
                if (before?.messages && next.messages && counted(next.messages)) {
                    const more = Math.max(0, next.messages.currentValue - before.messages.currentValue);
                    setMessages(add((more * 1000) / (next.at - before.at)));
                }
                before = next;
            } catch (error) {
                if (!ended) setFailure(messageOf(error));
            }
            if (!ended) timer = window.setTimeout(() => void look(), EVERY_MS);
        };
        void look();
        return () => {
            ended = true;
            clearTimeout(timer);
        };
    }, [hub.loading]);
    const messagesNow = now?.messages && counted(now.messages) ? now.messages : null;
    const limit = messagesNow?.maxValue;
    return (
        <>
            <div class="head">
                <h1>{name || api.session.host}</h1>
                <div class="actions">
                    <a class="button" href={href('devices')}>
                        Devices
                    </a>
                    <a class="button" href={href('query')}>
                        Query
                    </a>
                </div>
            </div>
            <Failure text={failure || hub.error} />
            {now ? (
                <dl class="tiles">
                    <div class="tile">
                        <dt>Devices</dt>
                        <dd>{count(now.devices)}</dd>
                        <dd class="text">
                            <small>{now.enabled === null ? '' : `${count(now.enabled)} enabled`}</small>
                        </dd>
                    </div>
                    <div class="tile">
                        <dt>Connected</dt>
                        <dd>{count(now.connected)}</dd>
                        <dd class="text">
                            <small>at this moment</small>
                        </dd>
                    </div>
                    <div class="tile">
                        <dt>Messages today</dt>
                        <dd>{count(messagesNow?.currentValue)}</dd>
                        <dd class="text">
                            <small>
                                {limit
                                    ? `of ${count(limit)}; a new day begins at 00:00 UTC`
                                    : owner
                                      ? 'counted when the hub has a tier'
                                      : ''}
                            </small>
                            {limit && (
                                <progress
                                    value={messagesNow?.currentValue}
                                    max={limit}
                                    aria-label="Messages of the day’s quota"
                                />
                            )}
                        </dd>
                    </div>
                    <div class="tile">
                        <dt>Tier</dt>
                        <dd>{messagesNow ? String(sku.name) : owner ? 'None' : '--'}</dd>
                        <dd class="text">
                            <small>
                                {messagesNow
                                    ? `${String(sku.capacity)} unit${sku.capacity === 1 ? '' : 's'}`
                                    : owner
                                      ? 'no rates are limited'
                                      : ''}
                            </small>
                        </dd>
                    </div>
                </dl>
            ) : (
                !failure && <Shimmer />
            )}
            {!owner && <Denied what="read the hub’s tier and quota" />}
            <div class="two">
                <Chart title="Connected devices" unit="devices" points={connected} />
                {messagesNow && <Chart title="Messages" unit="messages a second" points={messages} />}
            </div>
            <section class="panel">
                <h2>This hub</h2>
                <dl class="facts">
                    <dt>Host name</dt>
                    <dd class="actions">
                        <code>{api.session.host}</code>
                        <Copy text={api.session.host} label="host name" />
                    </dd>
                    <dt>Signed in as</dt>
                    <dd>{api.session.name}</dd>
                    <dt>Rights</dt>
                    <dd>{[...api.session.rights].map((right) => rightNames[right]).join(', ')}</dd>
                </dl>
            </section>
        </>
    );
}

const rightNames = {
    read: 'registry read',
    write: 'registry write',
    service: 'service connect',
    owner: 'the hub itself',
};
