import { useEffect, useRef, useState } from 'preact/hooks';
import { enc, literal, type Doc } from '../api';
import { LiveBar, useNotices, type Notice } from '../notices';
import { href, setQuery, useRoute } from '../route';
import { Choice, Denied, Dialog, Failure, messageOf, notify, Pill, Text, useApi, When } from '../ui';
import { MassAction } from './mass';

const ROW = 40; // px, as style.css has it
const PAGE = 100;
const HELD = 5000; // notices that wait
const SELECTED = 'deviceId, status, connectionState, authenticationType, statusUpdateTime, modelId, capabilities';

interface Device extends Doc {
    deviceId: string;
}

export interface Clause {
    property: string;
    operator: string;
    value: string;
}

const properties: [string, string][] = [
    ['status', 'Status'],
    ['connectionState', 'Connection state'],
    ['lastActivityTime', 'Last activity time'],
    ['statusUpdateTime', 'Status update time'],
    ['capabilities.iotEdge', 'Edge device'],
    ['custom', 'Property or tag…'],
];
const operators: [string, string][] = [
    ['=', 'equals'],
    ['!=', 'is not'],
    ['>', '>'],
    ['>=', '≥'],
    ['<', '<'],
    ['<=', '≤'],
];

const PATH = /^(tags|properties\.(desired|reported))(\.[A-Za-z_$][\w$-]*)+$/;

/** A value as the query language has it: numbers and true, false as they are, all else is text. */
export function valueOf(text: string): string {
    return /^(-?\d+(\.\d+)?|true|false)$/.test(text) ? text : literal(text);
}

function condition(prefix: string, clauses: Clause[]): string {
    if (prefix) return ` WHERE STARTSWITH(deviceId, ${literal(prefix)})`;
    const all = clauses.map((clause) => `${clause.property} ${clause.operator} ${valueOf(clause.value)}`);
    return all.length ? ` WHERE ${all.join(' AND ')}` : '';
}

function readClauses(text: string | null): Clause[] {
    try {
        const list = JSON.parse(text ?? '[]') as Clause[];
        const known = (one: Clause) =>
            (PATH.test(one.property) || properties.some(([name]) => name === one.property && name !== 'custom')) &&
            operators.some(([name]) => name === one.operator);
        return Array.isArray(list) ? list.filter(known) : [];
    } catch {
        return [];
    }
}

/** Pages of a query as they are asked for: never more than what somebody has scrolled to. */
function usePages(text: string) {
    const api = useApi();
    const [rows, setRows] = useState<Device[]>([]);
    const [more, setMore] = useState(true);
    const [failure, setFailure] = useState('');
    const [turn, setTurn] = useState(0);
    const at = useRef<{ text: string; turn: number; next: string | null; busy: boolean; end: AbortController } | null>(
        null,
    );
    const load = async () => {
        const mine = at.current;
        if (!mine || mine.busy) return;
        mine.busy = true;
        try {
            const page = await api.query<Device>(text, mine.next, PAGE, mine.end.signal);
            if (at.current !== mine) return;
            mine.next = page.continuation;
            setRows((before) => [...before, ...page.items]);
            setMore(page.continuation !== null);
            setFailure('');
        } catch (error) {
            if (at.current !== mine) return;
            setFailure(messageOf(error));
            setMore(false);
        } finally {
            mine.busy = false;
        }
    };
    useEffect(() => {
        at.current = { text, turn, next: null, busy: false, end: new AbortController() };
        setRows([]);
        setMore(true);
        const timer = setTimeout(() => void load(), 150); // somebody may still be typing
        return () => {
            clearTimeout(timer);
            at.current?.end.abort();
            at.current = null;
        };
    }, [text, turn]);
    /** Puts into the rows that are there what has become of their devices; what has been made is counted, and is there after a look anew. */
    const take = (list: Notice[]) => {
        const states = new Map<string, string | null>();
        for (const { what, device, module } of list) {
            if (module) continue;
            if (what === 'deviceConnected') states.set(device, 'Connected');
            if (what === 'deviceDisconnected') states.set(device, 'Disconnected');
            if (what === 'deleteDeviceIdentity') states.set(device, null);
        }
        if (states.size)
            setRows((before) =>
                before.some((row) => states.has(row.deviceId))
                    ? before
                          .filter((row) => states.get(row.deviceId) !== null)
                          .map((row) => {
                              const state = states.get(row.deviceId);
                              return state ? { ...row, connectionState: state } : row;
                          })
                    : before,
            );
    };
    return { rows, more, failure, load, take, reload: () => setTurn((n) => n + 1) };
}

const authentications: Record<string, string> = {
    sas: 'Symmetric key',
    selfSigned: 'X.509 self-signed',
    certificateAuthority: 'X.509 CA',
    none: 'None',
};

export const isEdge = (device: Doc) => (device.capabilities as Doc | undefined)?.iotEdge === true;

export function StatusPill(props: { device: Doc }) {
    return props.device.status === 'enabled' ? <Pill kind="good">Enabled</Pill> : <Pill kind="warn">Disabled</Pill>;
}
export function ConnectionPill(props: { device: Doc }) {
    return props.device.connectionState === 'Connected' ? (
        <Pill kind="good">Connected</Pill>
    ) : (
        <Pill>Disconnected</Pill>
    );
}

export function DevicesPage() {
    const api = useApi();
    const route = useRoute();
    const prefix = route.query.get('id') ?? '';
    const clauses = readClauses(route.query.get('where'));
    const [chosen, setChosen] = useState<Set<string>>(new Set());
    const [dialog, setDialog] = useState<'' | 'new' | 'delete' | 'clause' | 'job'>('');
    const pages = usePages(`SELECT ${SELECTED} FROM devices${condition(prefix, clauses)}`);
    const show = (id: string, where: Clause[]) => setQuery({ id, where: where.length ? JSON.stringify(where) : '' });
    const [made, setMade] = useState(0);
    const held = useRef<Notice[]>([]); // while it stands still
    const live = useNotices('DeviceConnectionStateEvents,DeviceLifecycleEvents', {
        heard: (list) => void held.current.push(...list.slice(-HELD)),
    });
    useEffect(() => {
        if (live.paused) return;
        const timer = setInterval(() => {
            const list = held.current.slice(-HELD);
            held.current = [];
            if (!list.length) return;
            pages.take(list);
            const more = list.filter((one) => one.what === 'createDeviceIdentity' && !one.module).length;
            if (more) setMade((before) => before + more);
        }, 500);
        return () => clearInterval(timer);
    }, [live.paused]);
    const reload = () => {
        setMade(0);
        setChosen(new Set());
        pages.reload();
    };
    const choose = (id: string, on: boolean) => {
        const next = new Set(chosen);
        if (on) next.add(id);
        else next.delete(id);
        setChosen(next);
    };
    return (
        <>
            <div class="head">
                <h1>Devices</h1>
                <div class="actions">
                    <LiveBar live={live} />
                    {api.can('write') && (
                        <button type="button" class="first" onClick={() => setDialog('new')}>
                            New device
                        </button>
                    )}
                    <button type="button" onClick={reload}>
                        Refresh{made ? ` (${made.toLocaleString()} new)` : ''}
                    </button>
                    {api.can('write') && api.can('service') && (
                        <button type="button" disabled={!pages.rows.length} onClick={() => setDialog('job')}>
                            Run a job{chosen.size ? ` (${chosen.size})` : ''}
                        </button>
                    )}
                    {api.can('write') && (
                        <button
                            type="button"
                            class="danger"
                            disabled={!chosen.size}
                            onClick={() => setDialog('delete')}
                        >
                            Delete{chosen.size ? ` (${chosen.size})` : ''}
                        </button>
                    )}
                </div>
            </div>
            <div class="row">
                <Text
                    class="grow"
                    label="Device id begins with"
                    type="search"
                    value={prefix}
                    set={(id) => show(id, [])}
                    search
                />
                <button type="button" onClick={() => setDialog('clause')}>
                    Add a condition
                </button>
            </div>
            {clauses.length > 0 && (
                <div class="actions" role="group" aria-label="Conditions">
                    {clauses.map((clause, i) => (
                        <button
                            type="button"
                            class="small"
                            aria-label={`Remove the condition ${clause.property} ${clause.operator} ${clause.value}`}
                            onClick={() =>
                                show(
                                    '',
                                    clauses.filter((_, other) => other !== i),
                                )
                            }
                        >
                            {clause.property} {clause.operator} {clause.value} <span aria-hidden="true">×</span>
                        </button>
                    ))}
                </div>
            )}
            {api.can('service') ? (
                <DeviceGrid {...pages} chosen={chosen} choose={choose} />
            ) : (
                <Denied what="query devices (it lacks ServiceConnect)" />
            )}
            {dialog === 'new' && <NewDevice close={() => setDialog('')} made={reload} />}
            {dialog === 'job' && (
                <MassAction
                    ids={[...chosen]}
                    condition={condition(prefix, clauses).replace(/^ WHERE /, '')}
                    close={() => setDialog('')}
                />
            )}
            {dialog === 'delete' && <DeleteDevices ids={[...chosen]} close={() => setDialog('')} done={reload} />}
            {dialog === 'clause' && (
                <NewClause
                    close={() => setDialog('')}
                    add={(clause) => {
                        setDialog('');
                        show('', [...clauses, clause]);
                    }}
                />
            )}
        </>
    );
}

interface GridProps {
    rows: Device[];
    more: boolean;
    failure: string;
    load: () => Promise<void>;
    reload: () => void;
    chosen: Set<string>;
    choose: (id: string, on: boolean) => void;
}

/** Draws the rows that are in sight; asks for the next page when the end comes near. */
function DeviceGrid(props: GridProps) {
    const box = useRef<HTMLDivElement>(null);
    const [top, setTop] = useState(0);
    const [height, setHeight] = useState(600);
    useEffect(() => {
        if (box.current) setHeight(box.current.clientHeight);
    }, [props.rows.length]);
    const first = Math.max(0, Math.floor(top / ROW) - 10);
    const last = Math.min(props.rows.length, Math.ceil((top + height) / ROW) + 10);
    useEffect(() => {
        if (props.more && props.rows.length && last > props.rows.length - 30) void props.load();
    }, [last, props.rows.length, props.more]);
    const space = (rows: number) => <tr class="space" aria-hidden="true" style={{ height: `${rows * ROW}px` }} />;
    const names = [
        'Device id',
        'Status',
        'Connection state',
        'Authentication',
        'Last status update',
        'Plug and Play model',
        'Edge',
    ];
    return (
        <>
            <Failure text={props.failure} retry={props.reload} />
            <div
                ref={box}
                class="table tall"
                tabIndex={0}
                role="region"
                aria-label="Devices"
                onScroll={(event) => setTop(event.currentTarget.scrollTop)}
            >
                <table aria-rowcount={props.more ? -1 : props.rows.length + 1}>
                    <thead>
                        <tr>
                            <th class="pick" scope="col">
                                <span class="unseen">Chosen</span>
                            </th>
                            {names.map((name) => (
                                <th key={name} scope="col">
                                    {name}
                                </th>
                            ))}
                        </tr>
                    </thead>
                    <tbody>
                        {first > 0 && space(first)}
                        {props.rows.slice(first, last).map((device, i) => (
                            <tr
                                key={device.deviceId}
                                aria-rowindex={first + i + 2}
                                aria-selected={props.chosen.has(device.deviceId)}
                            >
                                <td class="pick">
                                    <input
                                        type="checkbox"
                                        aria-label={`Choose ${device.deviceId}`}
                                        checked={props.chosen.has(device.deviceId)}
                                        onChange={(event) => props.choose(device.deviceId, event.currentTarget.checked)}
                                    />
                                </td>
                                <td title={device.deviceId}>
                                    <a href={href('devices', device.deviceId)}>{device.deviceId}</a>
                                </td>
                                <td>
                                    <StatusPill device={device} />
                                </td>
                                <td>
                                    <ConnectionPill device={device} />
                                </td>
                                <td>{authentications[String(device.authenticationType)] ?? '--'}</td>
                                <td>
                                    <When at={device.statusUpdateTime} />
                                </td>
                                <td title={String(device.modelId ?? '')}>
                                    {device.modelId ? String(device.modelId) : '--'}
                                </td>
                                <td>{isEdge(device) ? <a href={href('edge', device.deviceId)}>✓ Edge</a> : ''}</td>
                            </tr>
                        ))}
                        {last < props.rows.length && space(props.rows.length - last)}
                        {props.more &&
                            Array.from({ length: props.rows.length ? 2 : 8 }, (_, i) => (
                                <tr key={`wait${i}`} aria-hidden="true">
                                    <td colSpan={8}>
                                        <span class="shimmer" />
                                    </td>
                                </tr>
                            ))}
                    </tbody>
                </table>
                {!props.more && !props.rows.length && !props.failure && <div class="empty">No devices to display</div>}
            </div>
            <p class="quiet" role="status">
                {props.more
                    ? props.rows.length
                        ? `${props.rows.length.toLocaleString()} devices, and more`
                        : 'Loading'
                    : props.rows.length
                      ? `${props.rows.length.toLocaleString()} device${props.rows.length === 1 ? '' : 's'}`
                      : 'No devices to display'}
            </p>
        </>
    );
}

function NewClause(props: { close: () => void; add: (clause: Clause) => void }) {
    const [property, setProperty] = useState('status');
    const [path, setPath] = useState('tags.');
    const [operator, setOperator] = useState('=');
    const [value, setValue] = useState('enabled');
    const custom = property === 'custom';
    const wrong =
        custom && path.length > 5 && !PATH.test(path) ? 'A path such as tags.site or properties.reported.battery' : '';
    const pick = (name: string) => {
        setProperty(name);
        setValue({ status: 'enabled', connectionState: 'Connected', 'capabilities.iotEdge': 'true' }[name] ?? '');
    };
    return (
        <Dialog title="Add a condition" close={props.close}>
            <form
                onSubmit={(event) => {
                    event.preventDefault();
                    const named = custom ? path : property;
                    if (!custom || PATH.test(path)) props.add({ property: named, operator, value });
                }}
            >
                <Choice label="Property" value={property} set={pick} of={properties} />
                {custom && <Text label="Path" value={path} set={setPath} wrong={wrong} required />}
                <Choice label="Operator" value={operator} set={setOperator} of={operators} />
                <Text label="Value" value={value} set={setValue} required />
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

const ID = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;

function NewDevice(props: { close: () => void; made: () => void }) {
    const api = useApi();
    const [id, setId] = useState('');
    const [type, setType] = useState('sas');
    const [first, setFirst] = useState('');
    const [second, setSecond] = useState('');
    const [made, setMade] = useState(true);
    const [enabled, setEnabled] = useState(true);
    const [edge, setEdge] = useState(false);
    const [parent, setParent] = useState('');
    const [failure, setFailure] = useState('');
    const [busy, setBusy] = useState(false);
    const wrong = id && !ID.test(id) ? "1 to 128 letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '" : '';
    const x509 = type === 'selfSigned';
    const keyed = type === 'sas' && !made;
    const submit = async (event: Event) => {
        event.preventDefault();
        if (!ID.test(id)) return;
        setBusy(true);
        const pair = (a: string, b: string) => ({ [a]: first.trim(), [b]: second.trim() });
        try {
            const scope = parent ? String((await api.ask(`/devices/${enc(parent)}`)).deviceScope ?? '') : '';
            if (parent && !scope) throw new Error(`${parent} is no edge device, so it cannot be a parent.`);
            await api.ask(`/devices/${enc(id)}`, {
                method: 'PUT',
                body: {
                    deviceId: id,
                    status: enabled ? 'enabled' : 'disabled',
                    authentication: {
                        type,
                        ...(keyed && { symmetricKey: pair('primaryKey', 'secondaryKey') }),
                        ...(x509 && { x509Thumbprint: pair('primaryThumbprint', 'secondaryThumbprint') }),
                    },
                    capabilities: { iotEdge: edge },
                    ...(scope && (edge ? { parentScopes: [scope] } : { deviceScope: scope })),
                },
            });
            notify(`${id} is there.`);
            props.made();
            props.close();
        } catch (error) {
            setFailure(messageOf(error));
            setBusy(false);
        }
    };
    return (
        <Dialog title="New device" close={props.close}>
            <form onSubmit={(event) => void submit(event)}>
                <Text label="Device id" value={id} set={setId} wrong={wrong} required />
                <Choice
                    label="Authentication type"
                    value={type}
                    set={setType}
                    of={Object.entries(authentications).filter(([name]) => name !== 'none')}
                />
                {type === 'sas' && (
                    <label class="check">
                        <input
                            type="checkbox"
                            checked={made}
                            onChange={(event) => setMade(event.currentTarget.checked)}
                        />
                        The hub makes the keys
                    </label>
                )}
                {(keyed || x509) && (
                    <>
                        <Text
                            label={x509 ? 'Primary thumbprint' : 'Primary key (base64)'}
                            value={first}
                            set={setFirst}
                            required
                        />
                        <Text
                            label={x509 ? 'Secondary thumbprint' : 'Secondary key (base64)'}
                            value={second}
                            set={setSecond}
                            required={keyed}
                        />
                    </>
                )}
                <Text
                    label="Parent device"
                    value={parent}
                    set={setParent}
                    hint="An edge device whose child this one is; or nothing"
                />
                <label class="check">
                    <input type="checkbox" checked={edge} onChange={(event) => setEdge(event.currentTarget.checked)} />
                    IoT Edge device
                </label>
                <label class="check">
                    <input
                        type="checkbox"
                        checked={enabled}
                        onChange={(event) => setEnabled(event.currentTarget.checked)}
                    />
                    May connect to the hub
                </label>
                <Failure text={failure} />
                <div class="actions">
                    <button type="button" onClick={props.close}>
                        Cancel
                    </button>
                    <button class="first" disabled={busy}>
                        Create
                    </button>
                </div>
            </form>
        </Dialog>
    );
}

function DeleteDevices(props: { ids: string[]; close: () => void; done: () => void }) {
    const api = useApi();
    const [failure, setFailure] = useState('');
    const [busy, setBusy] = useState(false);
    const remove = async () => {
        setBusy(true);
        try {
            for (let at = 0; at < props.ids.length; at += PAGE) {
                const part = props.ids.slice(at, at + PAGE);
                await api.ask('/devices', { method: 'POST', body: part.map((id) => ({ id, importMode: 'delete' })) });
            }
            notify(`${props.ids.length} device${props.ids.length === 1 ? ' is' : 's are'} deleted.`);
            props.done();
            props.close();
        } catch (error) {
            setFailure(messageOf(error));
            setBusy(false);
        }
    };
    return (
        <Dialog title={`Delete ${props.ids.length} device${props.ids.length === 1 ? '' : 's'}?`} close={props.close}>
            <p class="note warn">
                Their twins, modules and waiting messages go too, for everybody who uses this hub. It cannot be undone.
            </p>
            <ul class="list" tabIndex={0} aria-label="Devices that will be deleted">
                {props.ids.map((id) => (
                    <li key={id}>{id}</li>
                ))}
            </ul>
            <Failure text={failure} />
            <div class="actions">
                <button type="button" onClick={props.close}>
                    Cancel
                </button>
                <button type="button" class="danger" disabled={busy} onClick={() => void remove()}>
                    Delete
                </button>
            </div>
        </Dialog>
    );
}
