// The built-in endpoint, from which events are read: its names and consumer groups.
import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { DeleteDialog, FormDialog } from '../forms';
import { useHub, type Hub } from '../hub';
import { Copy, Denied, Failure, notify, RowButton, Shimmer, Table, Text, useApi, useLoad } from '../ui';

const GROUPS = '/eventHubEndpoints/events/ConsumerGroups';
const wrongGroup = (name: string) =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/.test(name) ? '' : '1 to 50 letters, digits and . _ -';

export function BuiltInPage() {
    const api = useApi();
    const hub = useHub();
    if (!api.can('owner')) return <Denied what="see the built-in endpoint (it needs a policy with all rights)" />;
    return (
        <>
            <h1>Built-in endpoint</h1>
            <Failure text={hub.error} retry={hub.reload} />
            {hub.data ? <BuiltIn hub={hub.data} /> : !hub.error && <Shimmer />}
        </>
    );
}

function BuiltIn(props: { hub: Hub }) {
    const api = useApi();
    const { name, properties } = props.hub;
    const stream = ((properties.eventHubEndpoints as Doc).events ?? {}) as Doc;
    const groups = useLoad(() => api.arm<{ value: Doc[] }>(name, GROUPS), [name]);
    const [adding, setAdding] = useState(false);
    const [removed, setRemoved] = useState('');
    const facts: [string, string][] = [
        ['Event Hub-compatible name', String(stream.path)],
        ['Event Hub-compatible endpoint', String(stream.endpoint)],
    ];
    return (
        <>
            <section class="panel">
                <h2>Where events are read</h2>
                <dl class="facts">
                    {facts.map(([label, text]) => (
                        <>
                            <dt>{label}</dt>
                            <dd class="actions">
                                <code>{text}</code>
                                <Copy text={text} label={label} />
                            </dd>
                        </>
                    ))}
                    <dt>Partitions</dt>
                    <dd>{String(stream.partitionCount)}</dd>
                    <dt>Retained for</dt>
                    <dd>
                        {String(stream.retentionTimeInDays)} day{stream.retentionTimeInDays === 1 ? '' : 's'}
                    </dd>
                </dl>
            </section>
            <div class="head">
                <h2>Consumer groups</h2>
                <div class="actions">
                    <button type="button" class="first" onClick={() => setAdding(true)}>
                        Add a group
                    </button>
                    <button type="button" onClick={groups.reload}>
                        Refresh
                    </button>
                </div>
            </div>
            <Failure text={groups.error} retry={groups.reload} />
            <Table
                label="Consumer groups"
                rows={groups.data?.value ?? []}
                loading={groups.loading}
                empty="There are no consumer groups."
                columns={[
                    { name: 'Name', cell: (group) => String(group.name) },
                    {
                        name: 'Actions',
                        cell: (group) =>
                            group.name === '$Default' ? (
                                <span class="quiet">always there</span>
                            ) : (
                                <RowButton
                                    act="Delete"
                                    of={String(group.name)}
                                    danger
                                    click={() => setRemoved(String(group.name))}
                                />
                            ),
                    },
                ]}
            />
            {adding && <NewGroup hub={name} close={() => setAdding(false)} done={groups.reload} />}
            {removed && (
                <DeleteDialog
                    what={removed}
                    close={() => setRemoved('')}
                    send={async () => {
                        await api.arm(name, `${GROUPS}/${enc(removed)}`, { method: 'DELETE' });
                        notify(`${removed} is deleted.`);
                        groups.reload();
                    }}
                >
                    <p class="note warn">Whoever reads by this group is cut off. The events stay.</p>
                </DeleteDialog>
            )}
        </>
    );
}

function NewGroup(props: { hub: string; close: () => void; done: () => void }) {
    const api = useApi();
    const [name, setName] = useState('');
    return (
        <FormDialog
            title="Add a consumer group"
            action="Add"
            ready={!wrongGroup(name)}
            close={props.close}
            send={async () => {
                await api.arm(props.hub, `${GROUPS}/${enc(name)}`, {
                    method: 'PUT',
                    body: { properties: { name } },
                });
                notify(`${name} is there.`);
                props.done();
            }}
        >
            <Text
                label="Name"
                value={name}
                set={setName}
                required
                wrong={name ? wrongGroup(name) : ''}
                hint="Each application that reads all events has one of its own."
            />
        </FormDialog>
    );
}
