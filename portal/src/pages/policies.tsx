// Shared access policies: who may do what with which key.
import { useState } from 'preact/hooks';
import type { Doc } from '../api';
import { Check, DeleteDialog, FormDialog } from '../forms';
import { useHub } from '../hub';
import { newKey } from '../session';
import { Denied, Failure, notify, PageHead, RowButton, Secret, Shimmer, Table, Text, useApi, useLoad } from '../ui';

interface Policy extends Doc {
    keyName: string;
    primaryKey: string;
    secondaryKey: string;
    rights: string;
}

const rightNames: [string, string][] = [
    ['RegistryRead', 'Read identities'],
    ['RegistryWrite', 'Make, change and delete identities'],
    ['ServiceConnect', 'What services do: twins, methods, messages, events, queries'],
    ['DeviceConnect', 'What devices do, as any of them'],
];

export function PoliciesPage() {
    const api = useApi();
    const hub = useHub();
    const name = hub.data?.name ?? '';
    const policies = useLoad(
        async () => (name ? (await api.arm<{ value: Policy[] }>(name, '/listkeys', { method: 'POST' })).value : null),
        [name, hub.data],
    );
    const [adding, setAdding] = useState(false);
    const [shown, setShown] = useState('');
    const [removed, setRemoved] = useState('');
    if (!api.can('owner')) return <Denied what="see policies (it needs a policy with all rights)" />;
    const list = policies.data ?? [];
    const save = async (next: (Policy | Doc)[], said: string) => {
        await hub.change({ properties: { authorizationPolicies: next } });
        notify(said);
    };
    const one = list.find((policy) => policy.keyName === shown);
    return (
        <>
            <PageHead title="Shared access policies" reload={hub.reload}>
                <button type="button" class="first" disabled={!policies.data} onClick={() => setAdding(true)}>
                    Add a policy
                </button>
            </PageHead>
            <Failure text={hub.error || policies.error} retry={hub.reload} />
            <Table
                label="Shared access policies"
                rows={list}
                loading={policies.loading || hub.loading}
                empty="There are no policies."
                columns={[
                    { name: 'Policy', cell: (policy) => policy.keyName },
                    { name: 'Rights', wrap: true, cell: (policy) => policy.rights },
                    {
                        name: 'Actions',
                        cell: (policy) => (
                            <span class="actions">
                                <button
                                    type="button"
                                    class="small"
                                    aria-expanded={shown === policy.keyName}
                                    aria-label={`Keys of ${policy.keyName}`}
                                    onClick={() => setShown(shown === policy.keyName ? '' : policy.keyName)}
                                >
                                    Keys
                                </button>
                                <RowButton
                                    act="Delete"
                                    of={policy.keyName}
                                    danger
                                    click={() => setRemoved(policy.keyName)}
                                />
                            </span>
                        ),
                    },
                ]}
            />
            {one && (
                <KeysPanel
                    key={one.keyName}
                    policy={one}
                    put={(next, said) =>
                        save(
                            list.map((policy) => (policy === one ? next : policy)),
                            said,
                        )
                    }
                />
            )}
            {!policies.data && !policies.error && <Shimmer />}
            {adding && (
                <NewPolicy
                    others={list.map((policy) => policy.keyName)}
                    close={() => setAdding(false)}
                    send={async (policy) => {
                        await save([...list, policy], `${String(policy.keyName)} is there.`);
                        setShown(String(policy.keyName));
                    }}
                />
            )}
            {removed && (
                <DeleteDialog
                    what={removed}
                    close={() => setRemoved('')}
                    send={async () => {
                        await save(
                            list.filter((policy) => policy.keyName !== removed),
                            `${removed} is deleted.`,
                        );
                        setShown('');
                    }}
                >
                    <p class="note warn">
                        Whoever has its keys is cut off at once.
                        {removed === api.session.name && ' You are signed in with it, and will be, too.'}
                    </p>
                </DeleteDialog>
            )}
        </>
    );
}

function KeysPanel(props: { policy: Policy; put: (next: Policy, said: string) => Promise<void> }) {
    const api = useApi();
    const { policy } = props;
    const [asked, setAsked] = useState<'primary' | 'secondary' | 'swap' | ''>('');
    const connection = (key: string) =>
        key ? `HostName=${api.session.host};SharedAccessKeyName=${policy.keyName};SharedAccessKey=${key}` : '';
    const own = policy.keyName === api.session.name;
    const titles = {
        primary: 'Regenerate the primary key',
        secondary: 'Regenerate the secondary key',
        swap: 'Swap keys',
    };
    const next = (): Policy =>
        asked === 'primary'
            ? { ...policy, primaryKey: newKey() }
            : asked === 'secondary'
              ? { ...policy, secondaryKey: newKey() }
              : { ...policy, primaryKey: policy.secondaryKey, secondaryKey: policy.primaryKey };
    const facts: [string, string][] = [
        ['Primary key', policy.primaryKey],
        ['Secondary key', policy.secondaryKey],
        ['Primary connection string', connection(policy.primaryKey)],
        ['Secondary connection string', connection(policy.secondaryKey)],
    ];
    return (
        <section class="panel">
            <div class="head">
                <h2>{policy.keyName}</h2>
                <div class="actions">
                    <button type="button" onClick={() => setAsked('primary')}>
                        Regenerate primary
                    </button>
                    <button type="button" onClick={() => setAsked('secondary')}>
                        Regenerate secondary
                    </button>
                    <button type="button" disabled={!policy.secondaryKey} onClick={() => setAsked('swap')}>
                        Swap keys
                    </button>
                </div>
            </div>
            <dl class="facts">
                {facts.map(([label, text]) => (
                    <>
                        <dt>{label}</dt>
                        <dd>
                            <Secret text={text} label={label.toLowerCase()} />
                        </dd>
                    </>
                ))}
            </dl>
            {asked && (
                <FormDialog
                    title={`${titles[asked]} of ${policy.keyName}?`}
                    action={asked === 'swap' ? 'Swap' : 'Regenerate'}
                    danger={asked !== 'swap'}
                    close={() => setAsked('')}
                    send={() => props.put(next(), asked === 'swap' ? 'The keys are swapped.' : 'There is a new key.')}
                >
                    <p class="note warn">
                        {asked === 'swap'
                            ? 'Both keys stay good.'
                            : 'Whoever has the former key is cut off at once; give them the other one before.'}
                        {own && asked !== 'swap' && ' You are signed in with a key of this policy.'}
                    </p>
                </FormDialog>
            )}
        </section>
    );
}

function NewPolicy(props: { others: string[]; close: () => void; send: (policy: Doc) => Promise<void> }) {
    const [name, setName] = useState('');
    const [rights, setRights] = useState<string[]>(['RegistryRead']);
    const wrong = !/^[A-Za-z0-9._-]{1,64}$/.test(name)
        ? '1 to 64 letters, digits and - . _'
        : props.others.includes(name)
          ? `There is a policy ${name} already.`
          : '';
    return (
        <FormDialog
            title="Add a policy"
            action="Add"
            ready={!wrong && rights.length > 0}
            close={props.close}
            send={() =>
                props.send({
                    keyName: name,
                    rights: rights.join(', '),
                    primaryKey: newKey(),
                    secondaryKey: newKey(),
                })
            }
        >
            <Text label="Name" value={name} set={setName} required wrong={name ? wrong : ''} />
            <fieldset>
                <legend>Rights</legend>
                {rightNames.map(([right, says]) => (
                    <Check
                        key={right}
                        label={`${right}: ${says}`}
                        value={rights.includes(right)}
                        set={(on) => setRights(on ? [...rights, right] : rights.filter((other) => other !== right))}
                    />
                ))}
            </fieldset>
        </FormDialog>
    );
}
