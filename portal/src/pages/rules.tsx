import { useState } from 'preact/hooks';
import { enc } from '../api';
import { DeleteDialog } from '../forms';
import { calculationText, triggerText, type Rule } from '../logic/monitoring';
import { listByRule, listGroups, listRules, SeverityPill } from '../monitoring';
import { useNotices } from '../notices';
import { href, hrefWith } from '../route';
import {
    Denied,
    Failure,
    messageOf,
    notify,
    PageHead,
    RowButton,
    Switch,
    Table,
    Text,
    useApi,
    useLoad,
    When,
} from '../ui';
import { RuleForm } from './rule-form';

export function RulesPage() {
    const api = useApi();
    const { tick } = useNotices('AlarmEvents', { slow: true });
    const [wanted, setWanted] = useState('');
    const [busy, setBusy] = useState('');
    const [dialog, setDialog] = useState<{ edit: Rule | null } | { remove: Rule } | null>(null);
    const list = useLoad(
        async (signal) => {
            if (!api.can('read')) return null;
            const service = api.can('service');
            const [rules, groups, open, closed] = await Promise.all([
                listRules(api, signal),
                listGroups(api, signal),
                service ? listByRule(api, {}, signal) : [],
                service ? listByRule(api, { Status: 'open,acknowledged,closed' }, signal) : [],
            ]);
            return {
                rules: rules.filter((rule) => !rule.Deleted).sort((a, b) => a.Name.localeCompare(b.Name)),
                groups,
                open: new Map(open.map((row) => [row.Rule.Id, row.Open])),
                last: new Map(closed.map((row) => [row.Rule.Id, row.Created])),
            };
        },
        [],
        tick,
    );
    if (!api.can('read')) return <Denied what="read rules (it lacks RegistryRead)" />;
    const write = api.can('write');
    const groups = list.data?.groups ?? [];
    const groupName = (id: string) => groups.find((group) => group.Id === id)?.DisplayName ?? id;
    const close = () => setDialog(null);
    const enable = async (rule: Rule, on: boolean) => {
        setBusy(rule.Id);
        try {
            await api.ask(`/telemetry/v1/rules/${enc(rule.Id)}`, { method: 'PUT', body: { ...rule, Enabled: on } });
            notify(`${rule.Name} is ${on ? 'enabled' : 'disabled'}.`);
        } catch (error) {
            notify(messageOf(error), true);
        }
        setBusy('');
        list.reload();
    };
    const text = wanted.toLowerCase();
    const rows = (list.data?.rules ?? []).filter((rule) =>
        `${rule.Name} ${rule.Description}`.toLowerCase().includes(text),
    );
    return (
        <>
            <PageHead title="Rules" reload={list.reload}>
                {write && groups.length > 0 && (
                    <button type="button" class="first" onClick={() => setDialog({ edit: null })}>
                        New rule
                    </button>
                )}
                <a class="button" href={href('groups')}>
                    Manage device groups
                </a>
            </PageHead>
            {list.data && groups.length === 0 && (
                <p class="note">
                    A rule is for a device group, and there is none yet. <a href={href('groups')}>Make one first.</a>
                </p>
            )}
            <Text label="Name or description holds" type="search" value={wanted} set={setWanted} search />
            <Failure text={list.error} retry={list.reload} />
            <div class="dense">
                <Table
                    label="Rules"
                    rows={rows}
                    loading={list.loading && !list.data}
                    empty={wanted ? 'No rule holds this' : 'No rules to display'}
                    columns={[
                        { name: 'Rule', wrap: true, cell: (rule) => <span title={rule.Description}>{rule.Name}</span> },
                        { name: 'Severity', cell: (rule) => <SeverityPill severity={rule.Severity} /> },
                        {
                            name: 'Enabled',
                            cell: (rule) => (
                                <Switch
                                    label={`${rule.Name} enabled`}
                                    on={rule.Enabled}
                                    set={(on) => void enable(rule, on)}
                                    disabled={!write || busy === rule.Id}
                                />
                            ),
                        },
                        { name: 'Device group', cell: (rule) => groupName(rule.GroupId) },
                        {
                            name: 'Trigger',
                            wrap: true,
                            cell: (rule) => (
                                <>
                                    {triggerText(rule)}
                                    <br />
                                    <small class="quiet">{calculationText(rule)}</small>
                                </>
                            ),
                        },
                        {
                            name: 'Open',
                            number: true,
                            cell: (rule) => {
                                const open = (list.data?.open.get(rule.Id) ?? 0).toLocaleString();
                                return (
                                    <a
                                        href={hrefWith({ rule: rule.Id, range: 'all' }, 'alarms')}
                                        aria-label={`${open} open alarms of ${rule.Name}`}
                                    >
                                        {open}
                                    </a>
                                );
                            },
                        },
                        {
                            name: 'Last trigger',
                            wrap: true,
                            cell: (rule) => <When at={list.data?.last.get(rule.Id)} short />,
                        },
                        {
                            name: 'Actions',
                            cell: (rule) =>
                                write && (
                                    <span class="actions">
                                        <RowButton act="Edit" of={rule.Name} click={() => setDialog({ edit: rule })} />
                                        <RowButton
                                            act="Delete"
                                            of={rule.Name}
                                            danger
                                            click={() => setDialog({ remove: rule })}
                                        />
                                    </span>
                                ),
                        },
                    ]}
                />
            </div>
            {dialog && 'edit' in dialog && (
                <RuleForm rule={dialog.edit} groups={groups} close={close} done={list.reload} />
            )}
            {dialog && 'remove' in dialog && (
                <DeleteDialog
                    what={dialog.remove.Name}
                    close={close}
                    send={async () => {
                        await api.ask(`/telemetry/v1/rules/${enc(dialog.remove.Id)}`, {
                            method: 'DELETE',
                            headers: { 'If-Match': '*' },
                        });
                        notify(`${dialog.remove.Name} is deleted.`);
                        list.reload();
                    }}
                >
                    <p>It finds nothing more. Its alarms stay.</p>
                </DeleteDialog>
            )}
        </>
    );
}
