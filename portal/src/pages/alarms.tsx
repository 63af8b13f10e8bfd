import { useEffect, useState } from 'preact/hooks';
import { enc } from '../api';
import { FormDialog } from '../forms';
import { ranges, severities, type Alarm, type AlarmStatus } from '../logic/monitoring';
import { endText } from '../logic/rule-actions';
import {
    AlarmPill,
    devicesOf,
    listAlarms,
    listAlarmsOf,
    listRules,
    namesOf,
    SeverityPill,
    useFleet,
    useScope,
} from '../monitoring';
import { LiveBar, useNotices } from '../notices';
import { changeQuery, href, hrefWith, useRoute } from '../route';
import { Choice, Denied, Dialog, Failure, messageOf, notify, PageHead, Table, useApi, useLoad, When } from '../ui';

const PER_PAGE = 50;
const statuses: [string, string][] = [
    ['', 'Any'],
    ['open', 'Open'],
    ['acknowledged', 'Acknowledged'],
    ['closed', 'Closed'],
    ['open,acknowledged', 'Open or acknowledged'],
];

export function AlarmsPage() {
    return useApi().can('service') ? <Alarms /> : <Denied what="read alarms (it lacks ServiceConnect)" />;
}

function Alarms() {
    const api = useApi();
    const { query } = useRoute();
    const scope = useScope();
    const live = useNotices('AlarmEvents', { slow: true });
    const { tick } = live;
    const said = (name: string) => query.get(name) ?? '';
    const [rule, device, status, severity] = [said('rule'), said('device'), said('status'), said('severity')];
    const skip = Math.max(0, Number(said('skip')) || 0);
    const always = said('range') === 'all';
    const [chosen, setChosen] = useState<Set<string>>(new Set());
    const [removing, setRemoving] = useState(false);
    const [busy, setBusy] = useState(false);
    const rules = useLoad((signal) => (api.can('read') ? listRules(api, signal) : Promise.resolve([])), []);
    const fleet = useFleet(scope, tick, Boolean(device));
    const devices = device ? [device] : devicesOf(scope, fleet.data);
    const shown = [rule, status, severity, said('range'), skip, devices?.join('\n') ?? devices];
    const alarms = useLoad(
        (signal) =>
            devices === null
                ? new Promise<Alarm[]>(() => {})
                : (rule ? listAlarmsOf(rule) : listAlarms)(
                      api,
                      {
                          ...(!always && { From: `NOW-${scope.range.span}` }),
                          Order: 'desc',
                          Skip: skip,
                          Limit: PER_PAGE + 1,
                          Devices: devices,
                          Status: status,
                          Severity: severity,
                      },
                      signal,
                  ),
        shown,
        tick,
    );
    useEffect(() => setChosen(new Set()), shown);
    const nameOf = namesOf(rules.data);
    const rows = (alarms.data ?? []).slice(0, PER_PAGE);
    const opened = rows.find((alarm) => alarm.Id === said('id'));
    const change = (values: Record<string, string>) => changeQuery({ skip: '', id: '', ...values });
    const set = async (list: Alarm[], to: AlarmStatus) => {
        setBusy(true);
        let done = 0;
        try {
            for (const alarm of list) {
                await api.ask(`/telemetry/v1/alarms/${enc(alarm.Id)}`, {
                    method: 'PATCH',
                    headers: { 'If-Match': '*' },
                    body: { Status: to },
                });
                done++;
            }
            notify(`${done} alarm${done === 1 ? ' is' : 's are'} ${to}.`);
        } catch (error) {
            notify(`${done} of ${list.length} are ${to}. ${messageOf(error)}`, true);
        }
        setBusy(false);
        setChosen(new Set());
        alarms.reload();
    };
    const picked = rows.filter((alarm) => chosen.has(alarm.Id));
    const choose = (id: string, on: boolean) => {
        const next = new Set(chosen);
        if (on) next.add(id);
        else next.delete(id);
        setChosen(next);
    };
    const count = picked.length ? ` (${picked.length})` : '';
    const there = (rules.data ?? []).sort((a, b) => a.Name.localeCompare(b.Name));
    return (
        <>
            <PageHead title="Alarms" reload={alarms.reload}>
                <LiveBar live={live} />
                <button type="button" disabled={!count || busy} onClick={() => void set(picked, 'acknowledged')}>
                    Acknowledge{count}
                </button>
                <button type="button" disabled={!count || busy} onClick={() => void set(picked, 'closed')}>
                    Close{count}
                </button>
                <button type="button" class="danger" disabled={!count || busy} onClick={() => setRemoving(true)}>
                    Delete{count}
                </button>
            </PageHead>
            <div class="row">
                <Choice
                    label="Time"
                    value={always ? 'all' : scope.range.id}
                    set={(range) => change({ range })}
                    of={[...ranges.map((one): [string, string] => [one.id, one.name]), ['all', 'Any time']]}
                />
                <Choice label="Status" value={status} set={(to) => change({ status: to })} of={statuses} />
                <Choice
                    label="Severity"
                    value={severity}
                    set={(to) => change({ severity: to })}
                    of={[['', 'Any'], ...severities.map((one): [string, string] => [one, one])]}
                />
                <Choice
                    class="grow"
                    label="Rule"
                    value={rule}
                    set={(to) => change({ rule: to })}
                    of={[
                        ['', 'Any'],
                        ...(rule && !there.some((one) => one.Id === rule) ? [[rule, rule] as [string, string]] : []),
                        ...there.map((one): [string, string] => [
                            one.Id,
                            one.Deleted ? `${one.Name} (deleted)` : one.Name,
                        ]),
                    ]}
                />
                {device ? (
                    <button
                        type="button"
                        aria-label={`Alarms of other devices than ${device} too`}
                        onClick={() => change({ device: '' })}
                    >
                        {device} <span aria-hidden="true">×</span>
                    </button>
                ) : (
                    <Choice
                        label="Device group"
                        value={scope.group?.Id ?? ''}
                        set={(group) => change({ group })}
                        of={[
                            ['', 'All devices'],
                            ...(scope.groups.data ?? []).map((one): [string, string] => [one.Id, one.DisplayName]),
                        ]}
                    />
                )}
            </div>
            <Failure text={alarms.error || fleet.error || rules.error || scope.groups.error} retry={alarms.reload} />
            <Table
                label="Alarms"
                rows={rows}
                loading={alarms.data === null}
                empty="No alarms to display"
                columns={[
                    {
                        name: 'Chosen',
                        pick: true,
                        cell: (alarm) => (
                            <input
                                type="checkbox"
                                aria-label={`Choose the alarm of ${alarm.DeviceId} at ${alarm.DateReceived}`}
                                checked={chosen.has(alarm.Id)}
                                onChange={(event) => choose(alarm.Id, event.currentTarget.checked)}
                            />
                        ),
                    },
                    {
                        name: 'Occurrence',
                        cell: (alarm) => (
                            <button type="button" class="link" onClick={() => changeQuery({ id: alarm.Id })}>
                                <When at={alarm.DateReceived} />
                            </button>
                        ),
                    },
                    { name: 'Severity', cell: (alarm) => <SeverityPill severity={alarm.Rule.Severity} /> },
                    { name: 'Rule', wrap: true, cell: (alarm) => nameOf(alarm.Rule.Id) },
                    {
                        name: 'Device',
                        cell: (alarm) => <a href={href('devices', alarm.DeviceId)}>{alarm.DeviceId}</a>,
                    },
                    { name: 'Status', cell: (alarm) => <AlarmPill status={alarm.Status} /> },
                ]}
            />
            <div class="actions">
                <button
                    type="button"
                    class="small"
                    disabled={!rows.length}
                    onClick={() => setChosen(new Set(rows.map((alarm) => alarm.Id)))}
                >
                    Choose all shown
                </button>
                <button
                    type="button"
                    class="small"
                    disabled={!skip}
                    onClick={() => changeQuery({ skip: skip > PER_PAGE ? String(skip - PER_PAGE) : '' })}
                >
                    Newer
                </button>
                <button
                    type="button"
                    class="small"
                    disabled={(alarms.data?.length ?? 0) <= PER_PAGE}
                    onClick={() => changeQuery({ skip: String(skip + PER_PAGE) })}
                >
                    Older
                </button>
                <span class="quiet" role="status">
                    {alarms.data && `${rows.length} shown${skip ? `, behind ${skip.toLocaleString()} newer ones` : ''}`}
                </span>
            </div>
            {removing && (
                <FormDialog
                    title={`Delete ${picked.length} alarm${picked.length === 1 ? '' : 's'}?`}
                    action="Delete"
                    danger
                    close={() => setRemoving(false)}
                    send={async () => {
                        await api.ask('/telemetry/v1/alarms!delete', {
                            method: 'POST',
                            body: { Items: picked.map((alarm) => alarm.Id) },
                        });
                        notify(`${picked.length} alarm${picked.length === 1 ? ' is' : 's are'} deleted.`);
                        setChosen(new Set());
                        alarms.reload();
                    }}
                >
                    <p>They are gone for everybody. To be done with an alarm, close it: then it is still counted.</p>
                </FormDialog>
            )}
            {opened && (
                <Dialog title={`Alarm: ${nameOf(opened.Rule.Id)}`} close={() => changeQuery({ id: '' })}>
                    <dl class="facts">
                        <dt>Severity</dt>
                        <dd>
                            <SeverityPill severity={opened.Rule.Severity} />
                        </dd>
                        <dt>Status</dt>
                        <dd>
                            <AlarmPill status={opened.Status} />
                        </dd>
                        <dt>Device</dt>
                        <dd class="actions">
                            <a href={href('devices', opened.DeviceId, 'telemetry')}>{opened.DeviceId}</a>
                            <a href={hrefWith({ device: opened.DeviceId, range: 'all' }, 'alarms')}>all its alarms</a>
                        </dd>
                        <dt>Description</dt>
                        <dd>{opened.Description || '--'}</dd>
                        <dt>Occurred</dt>
                        <dd>
                            <When at={opened.DateReceived} />
                        </dd>
                        <dt>Changed</dt>
                        <dd>
                            <When at={opened.DateModified} />
                        </dd>
                        <dt>Found by</dt>
                        <dd>
                            {opened.Logic.endsWith('NMessage') ? 'messages of a window' : 'one message'} (rule{' '}
                            <code>{opened.Rule.Id}</code>)
                        </dd>
                        {opened.Actions?.length ? (
                            <>
                                <dt>Actions</dt>
                                <dd>
                                    <ul>
                                        {opened.Actions.map((action, i) => (
                                            <li key={i} class={action.Status === 'failed' ? 'wrong' : undefined}>
                                                {endText(action)}
                                            </li>
                                        ))}
                                    </ul>
                                </dd>
                            </>
                        ) : null}
                        <dt>Id</dt>
                        <dd>
                            <code>{opened.Id}</code>
                        </dd>
                    </dl>
                    <div class="actions">
                        {(['open', 'acknowledged', 'closed'] as const)
                            .filter((to) => to !== opened.Status)
                            .map((to) => (
                                <button type="button" disabled={busy} onClick={() => void set([opened], to)}>
                                    {{ open: 'Open again', acknowledged: 'Acknowledge', closed: 'Close' }[to]}
                                </button>
                            ))}
                        <form method="dialog">
                            <button class="first">Done</button>
                        </form>
                    </div>
                </Dialog>
            )}
        </>
    );
}
