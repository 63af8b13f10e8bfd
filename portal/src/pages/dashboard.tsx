import { useMemo } from 'preact/hooks';
import type { Api } from '../api';
import {
    alarmsByType,
    changeText,
    criticalShare,
    openOf,
    topRules,
    worstByDevice,
    type Alarm,
    type ByRule,
    type Range,
} from '../logic/monitoring';
import {
    ALARMS_MAX,
    devicesOf,
    listAlarms,
    listByRule,
    listRules,
    loadTypes,
    namesOf,
    Panel,
    ScopeBar,
    ruleColumns,
    Tile,
    useFleet,
    useScope,
    type Fleet,
} from '../monitoring';
import { LiveBar, useNotices } from '../notices';
import { Denied, Shimmer, Table, useApi, useLoad, When, type Loaded } from '../ui';
import { LiveTelemetry } from './live';
import { FleetMap } from './map';

interface Alarms {
    list: Alarm[]; // of any status, the newest first
    byRule: ByRule[];
    listBefore: Alarm[];
    byRuleBefore: ByRule[];
}

async function loadAlarms(api: Api, range: Range, devices: string[] | undefined, signal: AbortSignal): Promise<Alarms> {
    const now = { From: `NOW-${range.span}`, To: 'NOW', Devices: devices };
    const before = { From: `NOW-${range.twice}`, To: `NOW-${range.span}`, Devices: devices };
    const newest = { Order: 'desc', Limit: ALARMS_MAX } as const;
    const [list, byRule, listBefore, byRuleBefore] = await Promise.all([
        listAlarms(api, { ...now, ...newest }, signal),
        listByRule(api, now, signal),
        listAlarms(api, { ...before, ...newest }, signal),
        listByRule(api, before, signal),
    ]);
    return { list, byRule, listBefore, byRuleBefore };
}

export function DashboardPage() {
    return useApi().can('service') ? (
        <Dashboard />
    ) : (
        <Denied what="read alarms and devices (it lacks ServiceConnect)" />
    );
}

function Dashboard() {
    const api = useApi();
    const scope = useScope();
    const live = useNotices('AlarmEvents,DeviceConnectionStateEvents,DeviceLifecycleEvents,TwinChangeEvents', {
        slow: true,
        least: 5000,
    });
    const { tick } = live;
    const fleet = useFleet(scope, tick);
    const devices = devicesOf(scope, fleet.data);
    const rules = useLoad((signal) => (api.can('read') ? listRules(api, signal) : Promise.resolve([])), [], tick);
    const alarms = useLoad(
        (signal) => (devices === null ? new Promise<Alarms>(() => {}) : loadAlarms(api, scope.range, devices, signal)),
        [scope.range.id, devices?.join('\n') ?? devices],
        tick,
    );
    const worst = useMemo(() => worstByDevice(alarms.data?.list ?? []), [alarms.data]);
    const allowed = useMemo(() => (devices ? new Set(devices) : null), [devices?.join('\n')]);
    const nameOf = namesOf(rules.data);
    const refresh = () => {
        fleet.reload();
        alarms.reload();
        rules.reload();
    };
    return (
        <>
            <div class="head">
                <h1>Dashboard</h1>
                <div class="actions">
                    <LiveBar live={live} />
                </div>
            </div>
            <ScopeBar scope={scope} refresh={refresh} at={fleet.data?.at ?? 0} />
            <Panel title={scope.group?.DisplayName ?? 'All devices'} of={fleet}>
                {(now) => <Tiles fleet={now} byRule={alarms.data?.byRule ?? null} />}
            </Panel>
            <div class="board dense">
                <Panel title="Device locations" of={fleet}>
                    {(now) => (
                        <>
                            <FleetMap key={scope.group?.Id ?? ''} devices={now.devices} worst={worst} />
                            {now.total > now.devices.length && (
                                <p class="quiet">
                                    The first {now.devices.length.toLocaleString()} of {now.total.toLocaleString()}{' '}
                                    devices. A device group narrows it.
                                </p>
                            )}
                        </>
                    )}
                </Panel>
                <div class="stack">
                    <Panel title="System alarms" of={alarms} more={<span class="quiet">{scope.range.name}</span>}>
                        {({ byRule }) => (
                            <Table
                                label="System alarms"
                                empty="No alarms that are open or acknowledged"
                                rows={[...byRule].sort((a, b) => (a.Created < b.Created ? 1 : -1))}
                                columns={[
                                    ...ruleColumns(scope, nameOf),
                                    { name: 'Open', number: true, cell: (row) => row.Open.toLocaleString() },
                                    { name: 'Last incident', cell: (row) => <When at={row.Created} short /> },
                                ]}
                            />
                        )}
                    </Panel>
                    <CriticalAlarms alarms={alarms} range={scope.range} />
                </div>
            </div>
            <section class="panel">
                <h2>Telemetry</h2>
                {devices === null ? <Shimmer /> : <LiveTelemetry key={scope.group?.Id ?? ''} devices={allowed} />}
            </section>
            <Kpis alarms={alarms} range={scope.range} fleet={fleet.data} nameOf={nameOf} />
        </>
    );
}

function Tiles(props: { fleet: Fleet; byRule: ByRule[] | null }) {
    const { total, connected } = props.fleet;
    const open = (severity: 'Critical' | 'Warning') => props.byRule && openOf(props.byRule, severity);
    const said = (count: number | null) => (count === null ? '--' : count.toLocaleString());
    const [critical, warnings] = [open('Critical'), open('Warning')];
    return (
        <dl class="tiles">
            <Tile name="Total" value={said(total)} small="devices" />
            <Tile name="Connected" value={said(connected)} small="at this moment" />
            <Tile name="Disconnected" value={said(Math.max(0, total - connected))} small="at this moment" />
            <Tile name="▲ Critical" value={said(critical)} small="open alarms" kind={critical ? 'bad' : ''} />
            <Tile name="◆ Warnings" value={said(warnings)} small="open alarms" kind={warnings ? 'warn' : ''} />
        </dl>
    );
}

/** A bar for each number, beside the greatest of all. */
function Bars(props: { of: number[]; most: number }) {
    return (
        <svg class="bars" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
            {props.of.map((value, i) => (
                <rect
                    key={i}
                    class={i ? 'before' : ''}
                    x={0}
                    y={i * 8}
                    width={(100 * value) / Math.max(1, props.most)}
                    height={props.of.length > 1 ? 6 : 14}
                />
            ))}
        </svg>
    );
}

const cut = (list: Alarm[]) => (list.length >= ALARMS_MAX ? `, of the newest ${ALARMS_MAX.toLocaleString()}` : '');

function CriticalAlarms(props: { alarms: Loaded<Alarms>; range: Range }) {
    return (
        <Panel title="Critical alarms" of={props.alarms}>
            {({ list, listBefore }) => {
                const critical = (of: Alarm[]) => of.filter((alarm) => alarm.Rule.Severity === 'Critical').length;
                const share = criticalShare(list);
                const change = changeText(critical(list), critical(listBefore));
                return (
                    <>
                        <dl class="tiles">
                            <Tile
                                name="Share"
                                value={share === null ? '--' : `${share.toFixed(1)} %`}
                                small={`${critical(list).toLocaleString()} of ${list.length.toLocaleString()} alarms`}
                            />
                            <Tile name="Change" value={change || '--'} small={`against ${props.range.before}`} />
                        </dl>
                        <p class="quiet">Alarms of any status{cut(list)}.</p>
                    </>
                );
            }}
        </Panel>
    );
}

interface KpiProps {
    alarms: Loaded<Alarms>;
    range: Range;
    fleet: Fleet | null;
    nameOf: (id: string) => string;
}

function Kpis(props: KpiProps) {
    const api = useApi();
    const { alarms, range } = props;
    const known = new Map(props.fleet?.devices.map((device) => [device.id, device.type]));
    const strangers = [...new Set(alarms.data?.list.map((alarm) => alarm.DeviceId))].filter((id) => !known.has(id));
    const types = useLoad(
        (signal) => loadTypes(api, props.fleet ? strangers : [], signal),
        [strangers.sort().join('\n'), props.fleet === null],
    );
    for (const [id, type] of types.data ?? []) known.set(id, type);
    return (
        <div class="board dense">
            <Panel title="Top rules triggered" of={alarms}>
                {({ byRule, byRuleBefore }) => {
                    const top = topRules(byRule, byRuleBefore);
                    const most = Math.max(0, ...top.flatMap((one) => [one.now, one.before]));
                    return (
                        <>
                            <Table
                                label="Top rules triggered"
                                empty="No alarms that are open or acknowledged"
                                rows={top}
                                columns={[
                                    { name: 'Rule', wrap: true, cell: (one) => props.nameOf(one.id) },
                                    {
                                        name: 'Compared',
                                        cell: (one) => <Bars of={[one.now, one.before]} most={most} />,
                                    },
                                    { name: 'Now', number: true, cell: (one) => one.now.toLocaleString() },
                                    { name: 'Before', number: true, cell: (one) => one.before.toLocaleString() },
                                ]}
                            />
                            <p class="quiet">Open and acknowledged alarms; before: {range.before}.</p>
                        </>
                    );
                }}
            </Panel>
            <Panel title="Alarms by device type" of={alarms}>
                {({ list }) => {
                    const rows = alarmsByType(list, (id) => known.get(id) || id).slice(0, 8);
                    return (
                        <>
                            <Table
                                label="Alarms by device type"
                                empty="No alarms"
                                rows={rows}
                                columns={[
                                    { name: 'Type', cell: ([type]) => type },
                                    { name: 'Share', cell: ([, count]) => <Bars of={[count]} most={list.length} /> },
                                    { name: 'Alarms', number: true, cell: ([, count]) => count.toLocaleString() },
                                ]}
                            />
                            <p class="quiet">Alarms of any status, by the reported Type{cut(list)}.</p>
                        </>
                    );
                }}
            </Panel>
        </div>
    );
}
