import { useEffect, useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { DeleteDialog, FormDialog, type Row, Rows } from '../forms';
import {
    groupOperators,
    groupQuery,
    toCondition,
    toRow,
    valueTypes,
    wrongCondition,
    wrongKey,
    type ConditionRow,
    type Group,
} from '../logic/monitoring';
import { listGroups } from '../monitoring';
import { hrefWith } from '../route';
import { Denied, Failure, notify, PageHead, RowButton, Table, Text, useApi, useLoad } from '../ui';

const CONDITIONS_MAX = 20;
const SHOWN = 5; // ids of the preview
const START = 'Tags.'; // of a key that is still to be written

export function GroupsPage() {
    const api = useApi();
    const [dialog, setDialog] = useState<{ edit: Group | null } | { remove: Group } | null>(null);
    const groups = useLoad((signal) => (api.can('read') ? listGroups(api, signal) : Promise.resolve([])), []);
    if (!api.can('read')) return <Denied what="read device groups (it lacks RegistryRead)" />;
    const close = () => setDialog(null);
    const write = api.can('write');
    return (
        <>
            <PageHead title="Device groups" reload={groups.reload}>
                {write && (
                    <button type="button" class="first" onClick={() => setDialog({ edit: null })}>
                        New device group
                    </button>
                )}
            </PageHead>
            <p class="quiet">
                A device is in a group by its twin, at each moment. Rules are for the devices of a group.
            </p>
            <Failure text={groups.error} retry={groups.reload} />
            <Table
                label="Device groups"
                rows={groups.data ?? []}
                loading={groups.loading && !groups.data}
                empty="No device groups to display: one is all devices of a kind or a place, such as Tags.site = north."
                columns={[
                    {
                        name: 'Device group',
                        cell: (group) => <a href={hrefWith({ group: group.Id }, 'dashboard')}>{group.DisplayName}</a>,
                    },
                    {
                        name: 'Conditions',
                        wrap: true,
                        cell: (group) => <code>{groupQuery(group.Conditions) || 'every device'}</code>,
                    },
                    {
                        name: 'Devices',
                        number: true,
                        cell: (group) => <Counted key={group.Id + group.ETag} conditions={group.Conditions} />,
                    },
                    {
                        name: 'Actions',
                        cell: (group) =>
                            write && (
                                <span class="actions">
                                    <RowButton
                                        act="Edit"
                                        of={group.DisplayName}
                                        click={() => setDialog({ edit: group })}
                                    />
                                    <RowButton
                                        act="Delete"
                                        of={group.DisplayName}
                                        danger
                                        click={() => setDialog({ remove: group })}
                                    />
                                </span>
                            ),
                    },
                ]}
            />
            {dialog && 'edit' in dialog && <GroupForm group={dialog.edit} close={close} done={groups.reload} />}
            {dialog && 'remove' in dialog && (
                <DeleteDialog
                    what={dialog.remove.DisplayName}
                    close={close}
                    send={async () => {
                        await api.ask(`/config/v1/devicegroups/${enc(dialog.remove.Id)}`, {
                            method: 'DELETE',
                            headers: { 'If-Match': `"${dialog.remove.ETag.replace(/"/g, '')}"` },
                        });
                        notify(`${dialog.remove.DisplayName} is deleted.`);
                        groups.reload();
                    }}
                >
                    <p>Its devices stay as they are. A group that a rule is for cannot be deleted.</p>
                </DeleteDialog>
            )}
        </>
    );
}

const selected = (conditions: Group['Conditions']) => (conditions.length ? ` WHERE ${groupQuery(conditions)}` : '');

function useCounted(conditions: Group['Conditions'] | null) {
    const api = useApi();
    const where = conditions && selected(conditions);
    return useLoad(
        async (signal) => {
            if (where === null || !api.can('service')) return null;
            const [counted, some] = await Promise.all([
                api.query<Doc>(`SELECT COUNT() AS number FROM devices${where}`, null, 1, signal),
                api.query<Doc>(`SELECT TOP ${SHOWN} deviceId FROM devices${where}`, null, SHOWN, signal),
            ]);
            return {
                count: Number(counted.items[0]?.number ?? 0),
                ids: some.items.map((row) => String(row.deviceId)),
            };
        },
        [where],
    );
}

/** How many devices a group has, in words if they are asked for; a query of its own. */
export function Counted(props: { conditions: Group['Conditions']; words?: boolean }) {
    const counted = useCounted(props.conditions);
    const count = counted.data && !counted.loading ? counted.data.count : null;
    const number = count !== null ? count.toLocaleString() : counted.error ? 'unknown' : '--';
    return <>{props.words ? `${number} ${count === 1 ? 'device' : 'devices'}` : number}</>;
}

function GroupForm(props: { group: Group | null; close: () => void; done: () => void }) {
    const api = useApi();
    const { group } = props;
    const [name, setName] = useState(group?.DisplayName ?? '');
    const [rows, setRows] = useState<Row[]>(
        group?.Conditions.map(toRow) ?? [{ key: START, operator: 'EQ', type: 'text', value: '' }],
    );
    const wrong = rows.map((row) => wrongCondition(row as ConditionRow)).find(Boolean) ?? '';
    const send = async () => {
        const body = {
            DisplayName: name.trim(),
            Conditions: rows.map((row) => toCondition(row as ConditionRow)),
            ...(group && { ETag: group.ETag }),
        };
        await api.ask(`/config/v1/devicegroups${group ? `/${enc(group.Id)}` : ''}`, {
            method: group ? 'PUT' : 'POST',
            body,
        });
        notify(`${body.DisplayName} is saved.`);
        props.done();
    };
    return (
        <FormDialog
            title={group ? `Device group ${group.DisplayName}` : 'New device group'}
            action="Save"
            ready={name.trim() !== '' && !wrong}
            close={props.close}
            send={send}
        >
            <Text label="Name" value={name} set={setName} required />
            <Rows
                legend="Conditions, all of which hold"
                hint="Without one it is every device. IN takes values with commas between."
                one="condition"
                most={CONDITIONS_MAX}
                fields={[
                    { key: 'key', label: 'Key', wide: true, wrong: (key) => (key === START ? '' : wrongKey(key)) },
                    { key: 'operator', label: 'Operator', of: groupOperators },
                    { key: 'type', label: 'Type', of: valueTypes },
                    { key: 'value', label: 'Value' },
                ]}
                rows={rows}
                set={setRows}
            />
            <Preview rows={rows as ConditionRow[]} wrong={wrong} />
        </FormDialog>
    );
}

function Preview(props: { rows: ConditionRow[]; wrong: string }) {
    const api = useApi();
    const [conditions, setConditions] = useState<Group['Conditions'] | null>(null);
    const text = JSON.stringify(props.rows);
    useEffect(() => {
        const timer = setTimeout(() => setConditions(props.wrong ? null : props.rows.map(toCondition)), 300);
        return () => clearTimeout(timer); // somebody still types
    }, [text, props.wrong]);
    const counted = useCounted(conditions);
    if (!api.can('service')) return null;
    return (
        <div class="note" role="status">
            {props.wrong ? (
                `Not whole yet: ${props.wrong}`
            ) : counted.error ? (
                counted.error
            ) : counted.data && conditions && !counted.loading ? (
                <>
                    Selects {counted.data.count.toLocaleString()} device{counted.data.count === 1 ? '' : 's'}
                    {counted.data.ids.length > 0 && `: ${counted.data.ids.join(', ')}`}
                    {counted.data.count > SHOWN && ', …'}
                </>
            ) : (
                'Looking…'
            )}
        </div>
    );
}
