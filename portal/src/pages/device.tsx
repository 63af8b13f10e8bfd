import { useState } from 'preact/hooks';
import { identityPath, twinPath, type Doc } from '../api';
import { href, hrefWith } from '../route';
import { newKey, signToken } from '../session';
import {
    Choice,
    Copy,
    Denied,
    Dialog,
    Failure,
    messageOf,
    notify,
    RowButton,
    Secret,
    Shimmer,
    Show,
    Table,
    Tabs,
    Text,
    useApi,
    useLoad,
    When,
} from '../ui';
import { ConnectionPill, isEdge, StatusPill } from './devices';
import { FilesTab } from './files';
import { MessageTab } from './message';
import { MethodTab } from './method';
import { TelemetryTab } from './telemetry';
import { TwinTab } from './twin';

const tabs: [string, string][] = [
    ['identity', 'Identity'],
    ['twin', 'Twin'],
    ['telemetry', 'Telemetry'],
    ['message', 'Message'],
    ['method', 'Direct method'],
    ['modules', 'Modules'],
    ['files', 'Files'],
    ['history', 'Twin history'],
    ['diagnose', 'Diagnose'],
];
const ofModule = ['identity', 'twin', 'method', 'history'];

/** `rest`: the tab, or "modules", a module and its tab. */
export function DevicePage(props: { id: string; rest: string[] }) {
    const api = useApi();
    const module = props.rest[0] === 'modules' ? props.rest[1] : undefined;
    const tab = (module ? props.rest[2] : props.rest[0]) ?? 'identity';
    const identity = useLoad(
        () => (api.can('read') ? api.ask(identityPath(props.id, module)) : Promise.resolve(null)),
        [props.id, module],
    );
    const base = module ? ['devices', props.id, 'modules', module] : ['devices', props.id];
    const shown = tabs.filter(([name]) => !module || ofModule.includes(name));
    const here = { device: props.id, module };
    return (
        <>
            <p class="crumb">
                <a href={href('devices')}>Devices</a>
                {module && (
                    <>
                        {' / '}
                        <a href={href('devices', props.id)}>{props.id}</a>
                        {' / '}
                        <a href={href('devices', props.id, 'modules')}>Modules</a>
                    </>
                )}
            </p>
            <div class="head">
                <h1>{module ?? props.id}</h1>
                {identity.data && (
                    <span class="actions">
                        {!module && <StatusPill device={identity.data} />}
                        <ConnectionPill device={identity.data} />
                        {isEdge(identity.data) && <a href={href('edge', props.id)}>IoT Edge</a>}
                        {!module && api.can('service') && (
                            <a href={hrefWith({ device: props.id, range: 'all' }, 'alarms')}>Alarms</a>
                        )}
                    </span>
                )}
            </div>
            <Tabs
                label={`Parts of ${module ?? props.id}`}
                at={href(...base, tab)}
                of={shown.map(([name, text]) => [href(...base, name), text])}
            />
            {tab === 'identity' && (
                <IdentityTab
                    {...here}
                    key={`${props.id}/${module ?? ''}`}
                    stored={identity.data}
                    failure={identity.error}
                    reload={identity.reload}
                />
            )}
            {tab === 'twin' && <TwinTab {...here} key={module} />}
            {tab === 'telemetry' && <TelemetryTab device={props.id} />}
            {tab === 'message' && <MessageTab device={props.id} />}
            {tab === 'method' && <MethodTab {...here} key={module} />}
            {tab === 'modules' && !module && <ModulesTab device={props.id} />}
            {tab === 'files' && !module && <FilesTab device={props.id} />}
            {tab === 'history' && <HistoryTab {...here} key={module} />}
            {tab === 'diagnose' && <DiagnoseTab device={props.id} />}
        </>
    );
}

interface IdentityProps {
    device: string;
    module?: string;
    stored: Doc | null;
    failure: string;
    reload: () => void;
}

function IdentityTab(props: IdentityProps) {
    const api = useApi();
    const [changes, setChanges] = useState<{ status?: string; primaryKey?: string; secondaryKey?: string }>({});
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState('');
    if (!api.can('read')) return <Denied what="read identities (it lacks RegistryRead)" />;
    if (props.failure) return <Failure text={props.failure} retry={props.reload} />;
    const stored = props.stored;
    if (!stored) return <Shimmer />;
    const authentication = (stored.authentication ?? {}) as Doc;
    const keys = (authentication.symmetricKey ?? {}) as Doc;
    const prints = (authentication.x509Thumbprint ?? {}) as Doc;
    const type = String(authentication.type ?? 'sas');
    const primary = changes.primaryKey ?? String(keys.primaryKey ?? '');
    const secondary = changes.secondaryKey ?? String(keys.secondaryKey ?? '');
    const status = changes.status ?? String(stored.status);
    const dirty = Object.keys(changes).length > 0;
    const named = `DeviceId=${props.device}` + (props.module ? `;ModuleId=${props.module}` : '');
    const connection = (key: string) => (key ? `HostName=${api.session.host};${named};SharedAccessKey=${key}` : '');
    const save = async () => {
        setBusy(true);
        setFailure('');
        try {
            await api.ask(identityPath(props.device, props.module), {
                method: 'PUT',
                headers: { 'If-Match': `"${String(stored.etag)}"` },
                body: {
                    ...stored,
                    ...(!props.module && { status }),
                    authentication: {
                        ...authentication,
                        ...(type === 'sas' && { symmetricKey: { primaryKey: primary, secondaryKey: secondary } }),
                    },
                },
            });
            notify('Saved.');
            setChanges({});
            props.reload();
        } catch (error) {
            setFailure(messageOf(error));
        }
        setBusy(false);
    };
    return (
        <>
            <section class="panel">
                <div class="head">
                    <h2>Identity</h2>
                    {api.can('write') && (
                        <div class="actions">
                            {type === 'sas' && (
                                <>
                                    <button
                                        type="button"
                                        onClick={() => setChanges({ ...changes, primaryKey: newKey() })}
                                    >
                                        Regenerate primary
                                    </button>
                                    <button
                                        type="button"
                                        onClick={() => setChanges({ ...changes, secondaryKey: newKey() })}
                                    >
                                        Regenerate secondary
                                    </button>
                                    <button
                                        type="button"
                                        onClick={() =>
                                            setChanges({ ...changes, primaryKey: secondary, secondaryKey: primary })
                                        }
                                    >
                                        Swap keys
                                    </button>
                                </>
                            )}
                            <button type="button" class="first" disabled={!dirty || busy} onClick={() => void save()}>
                                Save
                            </button>
                        </div>
                    )}
                </div>
                {dirty && (
                    <p class="note warn" role="status">
                        Nothing is changed until you save.{' '}
                        <button type="button" class="small" onClick={() => setChanges({})}>
                            Discard
                        </button>
                    </p>
                )}
                <Failure text={failure} />
                <dl class="facts">
                    <dt>{props.module ? 'Module id' : 'Device id'}</dt>
                    <dd class="actions">
                        <code>{props.module ?? props.device}</code>
                        <Copy text={props.module ?? props.device} label="id" />
                    </dd>
                    {type === 'sas' && (
                        <>
                            <dt>Primary key</dt>
                            <dd>
                                <Secret text={primary} label="primary key" />
                            </dd>
                            <dt>Secondary key</dt>
                            <dd>
                                <Secret text={secondary} label="secondary key" />
                            </dd>
                            <dt>Primary connection string</dt>
                            <dd>
                                <Secret text={connection(primary)} label="primary connection string" />
                            </dd>
                            <dt>Secondary connection string</dt>
                            <dd>
                                <Secret text={connection(secondary)} label="secondary connection string" />
                            </dd>
                        </>
                    )}
                    {type === 'selfSigned' && (
                        <>
                            <dt>Primary thumbprint</dt>
                            <dd>
                                <code>{String(prints.primaryThumbprint ?? '--')}</code>
                            </dd>
                            <dt>Secondary thumbprint</dt>
                            <dd>
                                <code>{String(prints.secondaryThumbprint ?? '--')}</code>
                            </dd>
                        </>
                    )}
                    {type === 'certificateAuthority' && (
                        <>
                            <dt>Authentication</dt>
                            <dd>A certificate that one of the hub’s CAs has signed; its common name is the id.</dd>
                        </>
                    )}
                    <dt>Last activity</dt>
                    <dd>
                        <When at={stored.lastActivityTime} />
                    </dd>
                    <dt>Connection state since</dt>
                    <dd>
                        <When at={stored.connectionStateUpdatedTime} />
                    </dd>
                    {!props.module && (
                        <>
                            <dt>Status since</dt>
                            <dd>
                                <When at={stored.statusUpdatedTime} />
                            </dd>
                            <dt>Messages that wait</dt>
                            <dd>{String(stored.cloudToDeviceMessageCount ?? 0)}</dd>
                        </>
                    )}
                </dl>
                {!props.module && (
                    <label class="check">
                        <input
                            type="checkbox"
                            checked={status === 'enabled'}
                            disabled={!api.can('write')}
                            onChange={(event) =>
                                setChanges({ ...changes, status: event.currentTarget.checked ? 'enabled' : 'disabled' })
                            }
                        />
                        Connect this device to the hub
                    </label>
                )}
            </section>
            {type === 'sas' && <SasPanel {...props} primary={primary} secondary={secondary} />}
        </>
    );
}

function SasPanel(props: { device: string; module?: string; primary: string; secondary: string }) {
    const api = useApi();
    const [which, setWhich] = useState('primary');
    const [minutes, setMinutes] = useState('60');
    const [made, setMade] = useState('');
    const count = Number(minutes);
    const wrong = Number.isInteger(count) && count >= 1 && count <= 525600 ? '' : '1 to 525600 minutes';
    const make = async (event: Event) => {
        event.preventDefault();
        if (wrong) return;
        const key = which === 'primary' ? props.primary : props.secondary;
        const path = identityPath(props.device, props.module);
        const token = await signToken(api.session.host + path, key, Math.floor(Date.now() / 1000) + count * 60);
        const module = props.module ? `;ModuleId=${props.module}` : '';
        setMade(`HostName=${api.session.host};DeviceId=${props.device}${module};SharedAccessSignature=${token}`);
    };
    return (
        <section class="panel">
            <h2>Connection string with a SAS token</h2>
            <form class="row" onSubmit={(event) => void make(event)}>
                <Choice
                    label="Key"
                    value={which}
                    set={setWhich}
                    of={[
                        ['primary', 'Primary'],
                        ['secondary', 'Secondary'],
                    ]}
                />
                <Text label="Expires after minutes" value={minutes} set={setMinutes} wrong={wrong} />
                <button>Generate</button>
            </form>
            {made && <Secret text={made} label="connection string with token" />}
        </section>
    );
}

function ModulesTab(props: { device: string }) {
    const api = useApi();
    const modules = useLoad(
        () => (api.can('read') ? api.ask<Doc[]>(`${identityPath(props.device)}/modules`) : Promise.resolve([])),
        [props.device],
    );
    const [adding, setAdding] = useState(false);
    const [removed, setRemoved] = useState('');
    if (!api.can('read')) return <Denied what="read identities (it lacks RegistryRead)" />;
    return (
        <>
            <div class="actions">
                {api.can('write') && (
                    <button type="button" class="first" onClick={() => setAdding(true)}>
                        Add a module
                    </button>
                )}
                <button type="button" onClick={modules.reload}>
                    Refresh
                </button>
            </div>
            <Failure text={modules.error} retry={modules.reload} />
            <Table
                label="Modules"
                rows={modules.data ?? []}
                loading={modules.loading}
                empty="This device has no modules."
                columns={[
                    {
                        name: 'Module id',
                        cell: (one) => (
                            <a href={href('devices', props.device, 'modules', String(one.moduleId))}>
                                {String(one.moduleId)}
                            </a>
                        ),
                    },
                    { name: 'Connection state', cell: (one) => <ConnectionPill device={one} /> },
                    { name: 'Since', cell: (one) => <When at={one.connectionStateUpdatedTime} /> },
                    { name: 'Last activity', cell: (one) => <When at={one.lastActivityTime} /> },
                    {
                        name: 'Actions',
                        cell: (one) =>
                            api.can('write') && !String(one.moduleId).startsWith('$') ? (
                                <RowButton
                                    act="Delete"
                                    of={String(one.moduleId)}
                                    danger
                                    click={() => setRemoved(String(one.moduleId))}
                                />
                            ) : (
                                ''
                            ),
                    },
                ]}
            />
            {adding && <NewModule device={props.device} close={() => setAdding(false)} made={modules.reload} />}
            {removed && (
                <DeleteModule
                    device={props.device}
                    module={removed}
                    close={() => setRemoved('')}
                    done={modules.reload}
                />
            )}
        </>
    );
}

function NewModule(props: { device: string; close: () => void; made: () => void }) {
    const api = useApi();
    const [id, setId] = useState('');
    const [failure, setFailure] = useState('');
    const submit = async (event: Event) => {
        event.preventDefault();
        try {
            await api.ask(identityPath(props.device, id), {
                method: 'PUT',
                body: { deviceId: props.device, moduleId: id, authentication: { type: 'sas' } },
            });
            notify(`${id} is there.`);
            props.made();
            props.close();
        } catch (error) {
            setFailure(messageOf(error));
        }
    };
    return (
        <Dialog title="Add a module" close={props.close}>
            <form onSubmit={(event) => void submit(event)}>
                <Text label="Module id" value={id} set={setId} required hint="The hub makes its keys" />
                <Failure text={failure} />
                <div class="actions">
                    <button type="button" onClick={props.close}>
                        Cancel
                    </button>
                    <button class="first">Add</button>
                </div>
            </form>
        </Dialog>
    );
}

function DeleteModule(props: { device: string; module: string; close: () => void; done: () => void }) {
    const api = useApi();
    const [failure, setFailure] = useState('');
    const remove = async () => {
        try {
            await api.ask(identityPath(props.device, props.module), { method: 'DELETE' });
            notify(`${props.module} is deleted.`);
            props.done();
            props.close();
        } catch (error) {
            setFailure(messageOf(error));
        }
    };
    return (
        <Dialog title={`Delete ${props.module}?`} close={props.close}>
            <p class="note warn">Its keys and its twin go too. It cannot be undone.</p>
            <Failure text={failure} />
            <div class="actions">
                <button type="button" onClick={props.close}>
                    Cancel
                </button>
                <button type="button" class="danger" onClick={() => void remove()}>
                    Delete
                </button>
            </div>
        </Dialog>
    );
}

function HistoryTab(props: { device: string; module?: string }) {
    const api = useApi();
    const history = useLoad(
        () =>
            api.can('service')
                ? api.ask<Doc[]>(`${twinPath(props.device, props.module)}/history`)
                : Promise.resolve([]),
        [props.device, props.module],
    );
    if (!api.can('service')) return <Denied what="read twins (it lacks ServiceConnect)" />;
    if (history.error) return <Failure text={history.error} retry={history.reload} />;
    if (!history.data) return <Shimmer />;
    if (!history.data.length) return <p class="empty">No version has been kept yet.</p>;
    return (
        <>
            <p class="quiet">What tags and desired properties have been, the newest first.</p>
            {history.data.map((one, i) => (
                <details key={String(one.version)} class="panel" open={i === 0}>
                    <summary>
                        Version {String(one.version)}, <When at={one.time} />
                    </summary>
                    <Show
                        label={`Version ${String(one.version)}`}
                        value={{ tags: one.tags, properties: one.properties }}
                    />
                </details>
            ))}
        </>
    );
}

function DiagnoseTab(props: { device: string }) {
    const api = useApi();
    const found = useLoad(
        () => (api.can('read') ? api.ask(`${identityPath(props.device)}/diagnostics`) : Promise.resolve(null)),
        [props.device],
    );
    if (!api.can('read')) return <Denied what="read what became of connections (it lacks RegistryRead)" />;
    const text = (value: unknown) =>
        typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '--';
    return (
        <>
            <div class="actions">
                <button type="button" onClick={found.reload}>
                    Refresh
                </button>
            </div>
            <Failure text={found.error} retry={found.reload} />
            <Table
                label="Last connections"
                rows={(found.data?.events ?? []) as Doc[]}
                loading={found.loading}
                empty="Nobody has connected as this device since the hub started."
                columns={[
                    { name: 'Time', cell: (one) => <When at={one.time} /> },
                    { name: 'Event', cell: (one) => text(one.event) },
                    { name: 'Module', cell: (one) => text(one.moduleId) },
                    { name: 'Protocol', cell: (one) => text(one.protocol) },
                    { name: 'From', cell: (one) => text(one.address) },
                    { name: 'Why', wrap: true, cell: (one) => text(one.why) },
                ]}
            />
        </>
    );
}
