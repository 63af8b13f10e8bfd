import { useState } from 'preact/hooks';
import { enc } from '../api';
import { calculationText, triggerText, type Rule } from '../logic/monitoring';
import { listByRule, listGroups, listRules, SeverityPill, useTick } from '../monitoring';
import { Denied, Failure, messageOf, notify, Switch, Table, Text, useApi, useLoad, When } from '../ui';

export function RulesPage() {
    const api = useApi();
    const tick = useTick();
    const [wanted, setWanted] = useState('');
    const [busy, setBusy] = useState('');
    const list = useLoad(
        async (signal) => {
            if (!api.can('read')) return null;
            const [rules, groups, byRule] = await Promise.all([
                listRules(api, signal),
                listGroups(api, signal),
                api.can('service') ? listByRule(api, {}, signal) : [],
            ]);
            return {
                rules: rules.filter((rule) => !rule.Deleted).sort((a, b) => a.Name.localeCompare(b.Name)),
                groups: new Map(groups.map((group) => [group.Id, group.DisplayName])),
                byRule: new Map(byRule.map((row) => [row.Rule.Id, row])),
            };
        },
        [],
        tick,
    );
    if (!api.can('read')) return <Denied what="read rules (it lacks RegistryRead)" />;
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
            <div class="head">
                <h1>Rules</h1>
                <div class="actions">
                    <button type="button" onClick={list.reload}>
                        Refresh
                    </button>
                </div>
            </div>
            <div class="row">
                <Text
                    class="grow"
                    label="Name or description holds"
                    type="search"
                    value={wanted}
                    set={setWanted}
                    search
                />
            </div>
            <Failure text={list.error} retry={list.reload} />
            <Table
                label="Rules"
                rows={rows}
                loading={list.loading && !list.data}
                empty={wanted ? 'No rule holds this' : 'No rules to display'}
                columns={[
                    { name: 'Rule', cell: (rule) => <span title={rule.Description}>{rule.Name}</span> },
                    { name: 'Severity', cell: (rule) => <SeverityPill severity={rule.Severity} /> },
                    { name: 'Device group', cell: (rule) => list.data?.groups.get(rule.GroupId) ?? rule.GroupId },
                    { name: 'Calculation', cell: calculationText },
                    { name: 'Trigger', wrap: true, cell: triggerText },
                    {
                        name: 'Enabled',
                        cell: (rule) => (
                            <Switch
                                label={`${rule.Name} enabled`}
                                on={rule.Enabled}
                                set={(on) => void enable(rule, on)}
                                disabled={!api.can('write') || busy === rule.Id}
                            />
                        ),
                    },
                    {
                        name: 'Open alarms',
                        number: true,
                        cell: (rule) => (list.data?.byRule.get(rule.Id)?.Open ?? 0).toLocaleString(),
                    },
                    {
                        name: 'Last trigger',
                        cell: (rule) => <When at={list.data?.byRule.get(rule.Id)?.Created} short />,
                    },
                ]}
            />
        </>
    );
}
