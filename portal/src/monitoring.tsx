// What the pages of remote monitoring share: whose alarms of when are looked at, and how they are asked for.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { enc, literal, type Api, type Doc } from './api';
import {
    groupQuery,
    rangeOf,
    ranges,
    type Alarm,
    type AlarmStatus,
    type ByRule,
    type Group,
    type Range,
    type Rule,
    type Severity,
} from './logic/monitoring';
import { changeQuery, href, hrefWith, useRoute } from './route';
import { Choice, Failure, Pill, Shimmer, useApi, useLoad, type Column, type Loaded } from './ui';

const REFRESH_MS = 15_000;
const FLEET_MAX = 1000; // devices, which are also as many as alarms can be asked of
export const ALARMS_MAX = 1000; // of a list of the hub

/* ---- small things ---- */

const severityKinds = { Critical: 'bad', Warning: 'warn', Info: '' } as const;
export function SeverityPill(props: { severity: Severity }) {
    return <Pill kind={severityKinds[props.severity]}>{props.severity}</Pill>;
}

const statusKinds = { open: 'warn', acknowledged: '', closed: 'good' } as const;
export function AlarmPill(props: { status: AlarmStatus }) {
    return <Pill kind={statusKinds[props.status]}>{props.status}</Pill>;
}

export function Tile(props: { name: string; value: string; small: string; kind?: string }) {
    return (
        <div class={`tile ${props.kind ?? ''}`}>
            <dt>{props.name}</dt>
            <dd>{props.value}</dd>
            <dd class="text">
                <small>{props.small}</small>
            </dd>
        </div>
    );
}

/** A part of a page, with its own waiting and its own failure. */
export function Panel<T>(props: {
    title: string;
    of: Loaded<T>;
    class?: string;
    more?: ComponentChildren;
    children: (data: T) => ComponentChildren;
}) {
    return (
        <section class={`panel ${props.class ?? ''}`}>
            <div class="head">
                <h2>{props.title}</h2>
                {props.more && <div class="actions">{props.more}</div>}
            </div>
            <Failure text={props.of.error} retry={props.of.reload} />
            {props.of.data !== null ? props.children(props.of.data) : !props.of.error && <Shimmer />}
        </section>
    );
}

/** Counts up every quarter of a minute, or as often as is said, while somebody looks. */
export function useTick(every = REFRESH_MS): number {
    const [tick, setTick] = useState(0);
    useEffect(() => {
        const timer = setInterval(() => !document.hidden && setTick((n) => n + 1), every);
        return () => clearInterval(timer);
    }, []);
    return tick;
}

/* ---- groups and rules ---- */

export const listGroups = (api: Api, signal?: AbortSignal) =>
    api
        .ask<{ Items: Group[] }>('/config/v1/devicegroups', { signal })
        .then((list) => list.Items.sort((a, b) => a.DisplayName.localeCompare(b.DisplayName)));

export const listRules = (api: Api, signal?: AbortSignal) =>
    api.ask<{ Items: Rule[] }>('/telemetry/v1/rules?includeDeleted=true', { signal }).then((list) => list.Items);

/** Names of rules; of one that is not known, its id. */
export function namesOf(rules: Rule[] | null) {
    const names = new Map(rules?.map((rule) => [rule.Id, rule.Name]));
    return (id: string) => names.get(id) ?? id;
}

/** Of a table of alarms by rule: the rule, which leads to its alarms, and its severity. */
export const ruleColumns = (scope: Scope, nameOf: (id: string) => string): Column<ByRule>[] => [
    {
        name: 'Rule',
        wrap: true,
        cell: (row) => <a href={hrefWith({ ...scope.query, rule: row.Rule.Id }, 'alarms')}>{nameOf(row.Rule.Id)}</a>,
    },
    { name: 'Severity', cell: (row) => <SeverityPill severity={row.Rule.Severity} /> },
];

export interface Scope {
    group: Group | null; // null: all devices
    range: Range;
    groups: Loaded<Group[]>;
    query: { group: string; range: string }; // what leads to the same elsewhere
}

export function useScope(): Scope {
    const api = useApi();
    const { query } = useRoute();
    const groups = useLoad((signal) => (api.can('read') ? listGroups(api, signal) : Promise.resolve([])), []);
    const range = rangeOf(query.get('range'));
    const id = query.get('group') ?? '';
    return {
        group: groups.data?.find((one) => one.Id === id) ?? null,
        range,
        groups,
        query: { group: id, range: query.get('range') ?? '' },
    };
}

/** Which group, which time, and when it was asked last. */
export function ScopeBar(props: { scope: Scope; refresh: () => void; at?: number; children?: ComponentChildren }) {
    const { group, range, groups } = props.scope;
    const api = useApi();
    return (
        <>
            <div class="row">
                <Choice
                    label="Device group"
                    value={group?.Id ?? ''}
                    set={(id) => changeQuery({ group: id })}
                    of={[
                        ['', 'All devices'],
                        ...(groups.data ?? []).map((one): [string, string] => [one.Id, one.DisplayName]),
                    ]}
                />
                <Choice
                    label="Time"
                    value={range.id}
                    set={(id) => changeQuery({ range: id })}
                    of={ranges.map((one) => [one.id, one.name])}
                />
                {props.children}
                <div class="actions">
                    <button type="button" onClick={props.refresh}>
                        Refresh
                    </button>
                    {api.can('read') && (
                        <a class="button" href={href('groups')}>
                            Manage device groups
                        </a>
                    )}
                    <span class="quiet">
                        {props.at ? `Last refreshed ${new Date(props.at).toLocaleTimeString()}` : ''}
                    </span>
                </div>
            </div>
            <Failure text={groups.error} retry={groups.reload} />
        </>
    );
}

/* ---- devices ---- */

export interface FleetDevice {
    id: string;
    connected: boolean;
    type: string;
    latitude: unknown;
    longitude: unknown;
}
export interface Fleet {
    total: number;
    connected: number;
    devices: FleetDevice[]; // at most FLEET_MAX of them
    at: number;
}

const PLACE =
    'deviceId, connectionState, properties.reported.Type AS type, properties.reported.Latitude AS latitude, properties.reported.Longitude AS longitude';

async function count(api: Api, where: string, signal: AbortSignal) {
    if (!where) {
        const [all, service] = await Promise.all([
            api.can('read') ? api.ask('/statistics/devices', { signal }) : null,
            api.ask('/statistics/service', { signal }),
        ]);
        if (all) return { total: Number(all.totalDeviceCount), connected: Number(service.connectedDeviceCount) };
    }
    const text = `SELECT connectionState, COUNT() AS number FROM devices${where} GROUP BY connectionState`;
    const rows = (await api.query(text, null, 100, signal)).items;
    const sum = (of: Doc[]) => of.reduce((before, row) => before + Number(row.number), 0);
    return { total: sum(rows), connected: sum(rows.filter((row) => row.connectionState === 'Connected')) };
}

async function loadFleet(api: Api, where: string, signal: AbortSignal): Promise<Fleet> {
    const counted = count(api, where, signal);
    const devices: FleetDevice[] = [];
    let next: string | null = null;
    do {
        const page: { items: Doc[]; continuation: string | null } = await api.query(
            `SELECT ${PLACE} FROM devices${where}`,
            next,
            100,
            signal,
        );
        for (const row of page.items)
            devices.push({
                id: String(row.deviceId),
                connected: row.connectionState === 'Connected',
                type: typeof row.type === 'string' ? row.type : '',
                latitude: row.latitude,
                longitude: row.longitude,
            });
        next = page.continuation;
    } while (next !== null && devices.length < FLEET_MAX);
    return { ...(await counted), devices: devices.slice(0, FLEET_MAX), at: Date.now() };
}

/** A group's devices; what takes the hub long is asked seldom. */
export function useFleet(scope: Scope, tick: number, unused = false): Loaded<Fleet> {
    const api = useApi();
    const last = useRef<{ where: string; fleet: Fleet; took: number } | null>(null);
    const where = scope.group?.Conditions.length ? ` WHERE ${groupQuery(scope.group.Conditions)}` : '';
    const known = scope.groups.data !== null || scope.groups.error !== '';
    return useLoad(
        async (signal) => {
            if (!known || unused) return new Promise<Fleet>(() => {}); // which group it is comes first
            const before = last.current;
            if (before && before.where === where && Date.now() - before.fleet.at < 10 * before.took)
                return before.fleet;
            const began = Date.now();
            const fleet = await loadFleet(api, where, signal);
            last.current = { where, fleet, took: Date.now() - began };
            return fleet;
        },
        [where, known, unused],
        tick,
    );
}

/* ---- alarms ---- */

export interface Ask {
    From?: string;
    To?: string;
    Order?: 'asc' | 'desc';
    Skip?: number;
    Limit?: number;
    Devices?: string[];
    Status?: string; // several with commas between
    Severity?: string;
}

const listOf =
    <T,>(path: string) =>
    async (api: Api, ask: Ask, signal?: AbortSignal): Promise<T[]> =>
        ask.Devices?.length === 0 // an empty list would be every device
            ? []
            : (await api.ask<{ Items: T[] }>(path, { method: 'POST', body: ask, signal })).Items;

export const listAlarms = listOf<Alarm>('/telemetry/v1/alarms');
export const listAlarmsOf = (rule: string) => listOf<Alarm>(`/telemetry/v1/alarmsbyrule/${enc(rule)}`);
export const listByRule = listOf<ByRule>('/telemetry/v1/alarmsbyrule');

/** The devices that alarms are asked of: of a group its own. */
export const devicesOf = (scope: Scope, fleet: Fleet | null) =>
    scope.group?.Conditions.length ? (fleet?.devices.map((device) => device.id) ?? null) : undefined;

/** Types of devices that are not in the list. */
export async function loadTypes(api: Api, ids: string[], signal: AbortSignal): Promise<[string, string][]> {
    const found: [string, string][] = [];
    for (let at = 0; at < ids.length; at += 100) {
        const list = ids.slice(at, at + 100).map(literal);
        const text = `SELECT deviceId, properties.reported.Type AS type FROM devices WHERE deviceId IN [${list.join(', ')}]`;
        for (const row of (await api.query(text, null, 100, signal)).items)
            if (typeof row.type === 'string') found.push([String(row.deviceId), row.type]);
    }
    return found;
}
