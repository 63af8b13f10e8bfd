import { useEffect, useRef, useState } from 'preact/hooks';
import { enc } from '../api';
import { DeleteDialog, useAct } from '../forms';
import { againTimes, devicesOf, stateOf, type Simulation } from '../logic/simulations';
import { Tile, useTick } from '../monitoring';
import { go, href, hrefWith } from '../route';
import { Chart, Denied, Failure, notify, PageHead, Shimmer, Table, useApi, useLoad, When } from '../ui';
import { NoRunner, SIMULATIONS, StatePill } from './simulations';

const POINTS = 150;

/** Messages a second, of what has been seen while somebody looks. */
function useRate(one: Simulation | null | undefined) {
    const [points, setPoints] = useState<{ at: number; value: number }[]>([]);
    const last = useRef<{ at: number; sent: number } | null>(null);
    const sent = one?.Statistics.TotalMessagesSent;
    useEffect(() => {
        if (sent === undefined) return;
        const at = Date.now();
        const before = last.current;
        if (before && at - before.at < 1000) return;
        last.current = { at, sent };
        if (!before) return;
        const value = Math.max(0, sent - before.sent) / ((at - before.at) / 1000);
        setPoints((all) => [...all, { at, value }].slice(-POINTS));
    }, [one]);
    return points;
}

export function SimulationPage(props: { id: string }) {
    const api = useApi();
    const tick = useTick(2000);
    const { busy, failure, act } = useAct();
    const [removing, setRemoving] = useState(false);
    const at = `${SIMULATIONS}/${enc(props.id)}`;
    const load = useLoad(
        async (signal) => {
            if (!api.can('read')) return null;
            const list = await api.ask<{ Items: Simulation[]; Followed: boolean }>(SIMULATIONS, { signal });
            return { one: list.Items.find((item) => item.Id === props.id), followed: list.Followed };
        },
        [props.id],
        tick,
    );
    const one = load.data?.one;
    const points = useRate(one);
    if (!api.can('read')) return <Denied what="read simulations (it lacks RegistryRead)" />;
    const enable = (Enabled: boolean) =>
        act(async () => {
            if (!one) return;
            const times = Enabled ? againTimes(one) : {};
            await api.ask(at, { method: 'PATCH', body: { ETag: one.ETag, Enabled, ...times } });
            notify(`${one.Name} is ${Enabled ? 'started' : 'stopped'}.`);
            load.reload();
        });
    if (!load.data) return load.error ? <Failure text={load.error} retry={load.reload} /> : <Shimmer />;
    if (!one)
        return (
            <>
                <PageHead title={props.id} reload={load.reload} />
                <p>
                    There is no such simulation. <a href={href('simulations')}>To all of them</a>
                </p>
            </>
        );
    const state = stateOf(one, Date.now());
    const goes = one.Enabled && state !== 'ended' && state !== 'removing';
    const numbers = one.Statistics;
    return (
        <>
            <PageHead title={one.Name} reload={load.reload}>
                {api.can('write') && (
                    <>
                        <button
                            type="button"
                            class={goes ? 'danger' : 'first'}
                            disabled={busy}
                            onClick={() => void enable(!goes)}
                        >
                            {goes ? 'Stop' : one.StartedTime ? 'Run again' : 'Start'}
                        </button>
                        <button type="button" disabled={goes} onClick={() => setRemoving(true)}>
                            Delete
                        </button>
                    </>
                )}
            </PageHead>
            <p class="quiet">
                <a href={href('simulations')}>Simulations</a>
                {one.Description && ` · ${one.Description}`}
            </p>
            {!load.data.followed && <NoRunner />}
            <Failure text={failure || load.error} />
            {one.Error && (
                <p class="note bad" role="alert">
                    {one.Error}
                </p>
            )}
            <dl class="tiles">
                <Tile
                    name="Devices"
                    value={`${numbers.ActiveDevicesCount.toLocaleString()} of ${devicesOf(one).toLocaleString()}`}
                    small="connected"
                />
                <Tile
                    name="Messages"
                    value={numbers.TotalMessagesSent.toLocaleString()}
                    small={`${numbers.AverageMessagesPerSecond.toLocaleString()} a second on average`}
                />
                <Tile name="Failed messages" value={numbers.FailedMessagesCount.toLocaleString()} small="not stored" />
                <Tile
                    name="Failed connections"
                    value={numbers.FailedDeviceConnectionsCount.toLocaleString()}
                    small={`${numbers.FailedDeviceTwinUpdatesCount.toLocaleString()} reports failed`}
                />
            </dl>
            <Chart title="Messages a second" unit="messages/s" points={points} />
            <section class="panel">
                <h2>About it</h2>
                <dl class="facts">
                    <dt>State</dt>
                    <dd>
                        <StatePill of={one} />
                    </dd>
                    <dt>Started</dt>
                    <dd>
                        <When at={one.StartedTime} />
                    </dd>
                    <dt>{one.StoppedTime ? 'Stopped' : 'Ends'}</dt>
                    <dd>
                        {one.StoppedTime || one.EndTime ? (
                            <When at={one.StoppedTime || one.EndTime} />
                        ) : (
                            'when it is stopped'
                        )}
                    </dd>
                    <dt>Devices afterwards</dt>
                    <dd>{one.DeleteDevicesWhenSimulationEnds ? 'are deleted' : 'stay'}</dd>
                    <dt>Runner</dt>
                    <dd>{one.Runner ?? 'none'}</dd>
                    <dt>Id</dt>
                    <dd>
                        <code>{one.Id}</code> <a href={hrefWith({ id: `${one.Id}.` }, 'devices')}>Its devices</a>
                    </dd>
                </dl>
            </section>
            <Table
                label="Device types"
                rows={one.DeviceModels}
                empty="No device types"
                columns={[
                    { name: 'Model', cell: (kind) => <a href={href('simulations', '$models', kind.Id)}>{kind.Id}</a> },
                    { name: 'Devices', number: true, cell: (kind) => kind.Count.toLocaleString() },
                    { name: 'Interval', cell: (kind) => kind.Override?.Telemetry?.[0]?.Interval ?? 'of the model' },
                ]}
            />
            {removing && (
                <DeleteDialog
                    what={one.Name}
                    close={() => setRemoving(false)}
                    send={async () => {
                        await api.ask(at, { method: 'DELETE', headers: { 'If-Match': '*' } });
                        notify(`${one.Name} is deleted.`);
                        go(href('simulations'));
                    }}
                >
                    <p>
                        {one.DevicesDeletionComplete ? 'It has no devices any more.' : 'Its devices stay in the hub.'}
                    </p>
                </DeleteDialog>
            )}
        </>
    );
}
