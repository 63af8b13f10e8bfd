import type { Doc } from '../api';
import { openOf, rank, type ByRule } from '../logic/monitoring';
import {
    devicesOf,
    listByRule,
    listRules,
    namesOf,
    Panel,
    ScopeBar,
    ruleColumns,
    Tile,
    useFleet,
    useScope,
} from '../monitoring';
import { LiveBar, useNotices } from '../notices';
import { href } from '../route';
import { Denied, Table, useApi, useLoad, When, type Loaded } from '../ui';
import { JobPill, jobCounts, jobProgress } from './jobs';

const JOBS = 100;
const SPANS: Record<string, number> = { hour: 3600e3, day: 864e5, week: 7 * 864e5, month: 30 * 864e5 };

export function MaintenancePage() {
    return useApi().can('service') ? <Maintenance /> : <Denied what="read alarms and jobs (it lacks ServiceConnect)" />;
}

interface Row extends ByRule {
    closed: number;
    last: string;
}

/** Rows of alarms that are not closed, with how many of the rule are. */
function joined(active: ByRule[], closed: ByRule[]): Row[] {
    const rows = new Map(active.map((row) => [row.Rule.Id, { ...row, closed: 0, last: row.Created }]));
    for (const row of closed) {
        const one = rows.get(row.Rule.Id) ?? { ...row, Count: 0, Open: 0, closed: 0, last: '' };
        rows.set(row.Rule.Id, { ...one, closed: row.Count, last: one.last > row.Created ? one.last : row.Created });
    }
    return [...rows.values()].sort(
        (a, b) => rank(a.Rule.Severity) - rank(b.Rule.Severity) || (a.last < b.last ? 1 : -1),
    );
}

function Maintenance() {
    const api = useApi();
    const scope = useScope();
    const live = useNotices('AlarmEvents,DeviceJobLifecycleEvents', { slow: true });
    const { tick } = live;
    const fleet = useFleet(scope, tick);
    const devices = devicesOf(scope, fleet.data);
    const rules = useLoad((signal) => (api.can('read') ? listRules(api, signal) : Promise.resolve([])), []);
    const alarms = useLoad(
        async (signal) => {
            if (devices === null) return new Promise<Row[]>(() => {});
            const ask = { From: `NOW-${scope.range.span}`, Devices: devices };
            return joined(
                ...(await Promise.all([
                    listByRule(api, ask, signal),
                    listByRule(api, { ...ask, Status: 'closed' }, signal),
                ])),
            );
        },
        [scope.range.id, devices?.join('\n') ?? devices],
        tick,
    );
    const jobs: Loaded<Doc[]> = useLoad(
        async (signal) => {
            const since = Date.now() - (SPANS[scope.range.id] ?? 0);
            const page = await api.page<Doc>('/jobs/v2/query', { signal }, null, JOBS);
            return page.items.filter((job) => Date.parse(String(job.createdTime ?? job.startTime)) >= since);
        },
        [scope.range.id],
        tick,
    );
    const nameOf = namesOf(rules.data);
    const said = (count: number | undefined) => (count === undefined ? '--' : count.toLocaleString());
    const rows = alarms.data;
    const [critical, warnings] = [rows && openOf(rows, 'Critical'), rows && openOf(rows, 'Warning')];
    const sum = (of: (job: Doc) => number) => jobs.data?.reduce((before, job) => before + of(job), 0);
    return (
        <>
            <div class="head">
                <h1>Maintenance</h1>
                <div class="actions">
                    <LiveBar live={live} />
                </div>
            </div>
            <ScopeBar
                scope={scope}
                at={fleet.data?.at}
                refresh={() => {
                    fleet.reload();
                    alarms.reload();
                    jobs.reload();
                }}
            />
            <dl class="tiles many">
                <Tile
                    name="Open alarms"
                    value={said(rows ? (critical ?? 0) + (warnings ?? 0) : undefined)}
                    small="of both kinds"
                />
                <Tile name="▲ Critical" value={said(critical ?? undefined)} small="open" kind={critical ? 'bad' : ''} />
                <Tile
                    name="◆ Warnings"
                    value={said(warnings ?? undefined)}
                    small="open"
                    kind={warnings ? 'warn' : ''}
                />
                <Tile name="Jobs’ devices" value={said(sum((job) => jobCounts(job).devices))} small="in all jobs" />
                <Tile name="Succeeded" value={said(sum((job) => jobCounts(job).succeeded))} small="devices" />
                <Tile
                    name="Failed"
                    value={said(sum((job) => jobCounts(job).failed))}
                    small="devices"
                    kind={sum((job) => jobCounts(job).failed) ? 'bad' : ''}
                />
            </dl>
            <div class="board wide dense">
                <Panel title="Alarms by rule" of={alarms}>
                    {(list) => (
                        <Table
                            label="Alarms by rule"
                            empty="No alarms"
                            rows={list}
                            columns={[
                                ...ruleColumns(scope, nameOf),
                                { name: 'Total', number: true, cell: (row) => said(row.Count + row.closed) },
                                { name: 'Open', number: true, cell: (row) => said(row.Open) },
                                { name: 'Ack.', number: true, cell: (row) => said(row.Count - row.Open) },
                                { name: 'Closed', number: true, cell: (row) => said(row.closed) },
                                { name: 'Last occurrence', wrap: true, cell: (row) => <When at={row.last} short /> },
                            ]}
                        />
                    )}
                </Panel>
                <Panel title="Jobs" of={jobs} more={<a href={href('jobs')}>All jobs</a>}>
                    {(list) => (
                        <Table
                            label="Jobs"
                            empty="No jobs of this time"
                            rows={list}
                            columns={[
                                {
                                    name: 'Job',
                                    wrap: true,
                                    cell: (job) => <a href={href('jobs', String(job.jobId))}>{String(job.jobId)}</a>,
                                },
                                { name: 'Status', cell: (job) => <JobPill job={job} /> },
                                { name: 'Devices', wrap: true, cell: jobProgress },
                                { name: 'Started', cell: (job) => <When at={job.startTime} short /> },
                            ]}
                        />
                    )}
                </Panel>
            </div>
        </>
    );
}
