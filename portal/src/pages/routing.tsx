// Message routing: routes, the endpoints where they lead, enrichments, and what would become of a message.
import { useMemo, useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Check, DeleteDialog, FormDialog, Pager, type Row, Rows, useAct } from '../forms';
import { useHub } from '../hub';
import { readObject } from '../logic/json';
import {
    endpointKinds,
    endpointOf,
    endpointRow,
    readEndpoints,
    sources,
    testOf,
    wrongEndpoint,
    type Endpoint,
    type EndpointKind,
    type Route,
    type TestForm,
} from '../logic/routing';
import { href } from '../route';
import {
    Area,
    Choice,
    Denied,
    Dialog,
    Failure,
    notify,
    PageHead,
    Pill,
    RowButton,
    Shimmer,
    Show,
    Table,
    Tabs,
    Text,
    useApi,
    useLoad,
    When,
} from '../ui';

const tabs: [string, string][] = [
    ['routes', 'Routes'],
    ['endpoints', 'Endpoints'],
    ['enrichments', 'Enrichments'],
    ['test', 'Test'],
];

interface TabProps {
    routing: Doc;
    /** Changes members of `routing` and says so. */
    save: (change: Doc, said: string) => Promise<void>;
}

export function RoutingPage(props: { tab: string }) {
    const api = useApi();
    const hub = useHub();
    if (!api.can('owner')) return <Denied what="see routes (it needs a policy with all rights)" />;
    const save = async (change: Doc, said: string) => {
        await hub.change({ properties: { routing: change } });
        notify(said);
    };
    const parts = hub.data && { routing: hub.data.properties.routing as Doc, save };
    return (
        <>
            <PageHead title="Message routing" reload={hub.reload} />
            <Tabs
                label="Parts of message routing"
                at={href('routing', props.tab)}
                of={tabs.map(([tab, text]) => [href('routing', tab), text])}
            />
            <Failure text={hub.error} retry={hub.reload} />
            {!parts && !hub.error && <Shimmer />}
            {parts && props.tab === 'routes' && <RoutesTab {...parts} />}
            {parts && props.tab === 'endpoints' && <EndpointsTab {...parts} />}
            {parts && props.tab === 'enrichments' && <EnrichmentsTab {...parts} />}
            {parts && props.tab === 'test' && <TestTab />}
        </>
    );
}

const routesOf = (routing: Doc) => (routing.routes ?? []) as unknown as Route[];
const namesOf = (routing: Doc) => ['events', ...readEndpoints(routing.endpoints).map(({ item }) => String(item.name))];

/** Which endpoints, by checkboxes. */
function EndpointChecks(props: { names: string[]; chosen: string[]; set: (chosen: string[]) => void }) {
    return (
        <fieldset>
            <legend>Endpoints</legend>
            {props.names.map((name) => (
                <Check
                    key={name}
                    label={name === 'events' ? 'events (built in)' : name}
                    value={props.chosen.includes(name)}
                    set={(on) =>
                        props.set(on ? [...props.chosen, name] : props.chosen.filter((other) => other !== name))
                    }
                />
            ))}
        </fieldset>
    );
}

/* ---- routes ---- */

function RoutesTab(props: TabProps) {
    const routes = routesOf(props.routing);
    const fallback = (props.routing.fallbackRoute ?? {}) as Doc;
    const [edited, setEdited] = useState<Route | null>(null);
    const [removed, setRemoved] = useState('');
    const { busy, failure, act } = useAct();
    const put = (route: Route, said: string, was = route.name) => {
        const at = routes.findIndex((one) => one.name === was);
        const next = at < 0 ? [...routes, route] : routes.map((one, i) => (i === at ? route : one));
        return props.save({ routes: next as unknown as Doc[] }, said);
    };
    const fresh: Route = {
        name: '',
        source: 'DeviceMessages',
        condition: 'true',
        endpointNames: ['events'],
        isEnabled: true,
    };
    return (
        <>
            <div class="actions">
                <button type="button" class="first" onClick={() => setEdited(fresh)}>
                    Add a route
                </button>
            </div>
            <Failure text={failure} />
            <Table
                label="Routes"
                rows={routes}
                empty="There are no routes: telemetry goes to the built-in endpoint."
                columns={[
                    { name: 'Name', cell: (route) => route.name },
                    {
                        name: 'Source',
                        cell: (route) => sources.find(([name]) => name === route.source)?.[1] ?? route.source,
                    },
                    { name: 'Condition', cell: (route) => <code title={route.condition}>{route.condition}</code> },
                    { name: 'Endpoints', cell: (route) => route.endpointNames.join(', ') },
                    {
                        name: 'Status',
                        cell: (route) =>
                            route.isEnabled ? <Pill kind="good">Enabled</Pill> : <Pill kind="warn">Disabled</Pill>,
                    },
                    {
                        name: 'Actions',
                        cell: (route) => (
                            <span class="actions">
                                <RowButton act="Edit" of={route.name} click={() => setEdited(route)} />
                                <button
                                    type="button"
                                    class="small"
                                    disabled={busy}
                                    aria-label={`${route.isEnabled ? 'Disable' : 'Enable'} ${route.name}`}
                                    onClick={() =>
                                        void act(() =>
                                            put(
                                                { ...route, isEnabled: !route.isEnabled },
                                                `${route.name} is ${route.isEnabled ? 'disabled' : 'enabled'}.`,
                                            ),
                                        )
                                    }
                                >
                                    {route.isEnabled ? 'Disable' : 'Enable'}
                                </button>
                                <RowButton act="Delete" of={route.name} danger click={() => setRemoved(route.name)} />
                            </span>
                        ),
                    },
                ]}
            />
            <section class="panel">
                <h2>Fallback route</h2>
                <Check
                    label="Telemetry that no route takes goes to the built-in endpoint"
                    value={fallback.isEnabled === true}
                    disabled={busy}
                    set={(isEnabled) =>
                        void act(() =>
                            props.save(
                                { fallbackRoute: { isEnabled } },
                                `The fallback route is ${isEnabled ? 'enabled' : 'disabled'}.`,
                            ),
                        )
                    }
                />
            </section>
            {edited && (
                <RouteDialog
                    route={edited}
                    others={routes.filter((one) => one !== edited).map((one) => one.name)}
                    endpoints={namesOf(props.routing)}
                    close={() => setEdited(null)}
                    send={(route) => put(route, `${route.name} is saved.`, edited.name)}
                />
            )}
            {removed && (
                <DeleteDialog
                    what={removed}
                    close={() => setRemoved('')}
                    send={() =>
                        props.save(
                            { routes: routes.filter((one) => one.name !== removed) as unknown as Doc[] },
                            `${removed} is deleted.`,
                        )
                    }
                >
                    <p class="note warn">What it has taken is on its way; what comes from now on it does not take.</p>
                </DeleteDialog>
            )}
        </>
    );
}

const wrongName = (name: string, others: string[]) =>
    !/^[A-Za-z0-9._-]{1,64}$/.test(name)
        ? 'A name has 1 to 64 letters, digits and - . _'
        : others.includes(name)
          ? `There is a route ${name} already.`
          : '';

function RouteDialog(props: {
    route: Route;
    others: string[];
    endpoints: string[];
    close: () => void;
    send: (route: Route) => Promise<void>;
}) {
    const [route, setRoute] = useState(props.route);
    const set = (change: Partial<Route>) => setRoute({ ...route, ...change });
    const old = props.route.name === route.name && route.name !== '';
    const wrong = old ? '' : wrongName(route.name, props.others);
    return (
        <FormDialog
            title={props.route.name ? `Route ${props.route.name}` : 'Add a route'}
            action={props.route.name ? 'Save' : 'Add'}
            ready={!wrong && route.endpointNames.length > 0}
            close={props.close}
            send={() => props.send(route)}
        >
            <Text
                label="Name"
                value={route.name}
                set={(name) => set({ name })}
                required
                wrong={route.name ? wrong : ''}
            />
            <Choice label="Source" value={route.source} set={(source) => set({ source })} of={sources} />
            <Area
                label="Condition"
                rows={3}
                value={route.condition}
                set={(condition) => set({ condition })}
                hint="Such as $body.temperature > 80 AND level = 'high'; true takes everything"
            />
            <EndpointChecks
                names={props.endpoints}
                chosen={route.endpointNames}
                set={(endpointNames) => set({ endpointNames })}
            />
            <Check label="Enabled" value={route.isEnabled} set={(isEnabled) => set({ isEnabled })} />
        </FormDialog>
    );
}

/* ---- endpoints ---- */

const healths = { healthy: 'good', degraded: 'warn', unhealthy: 'bad', dead: 'bad', unknown: '' } as const;

function EndpointsTab(props: TabProps) {
    const api = useApi();
    const endpoints = useMemo(() => readEndpoints(props.routing.endpoints), [props.routing]);
    const health = useLoad(() => api.ask<{ value: Doc[] }>('/routing/endpoints/health'), [props.routing]);
    const [edited, setEdited] = useState<Endpoint | 'new' | null>(null);
    const [removed, setRemoved] = useState<Endpoint | null>(null);
    const [letters, setLetters] = useState('');
    const users = (name: unknown) =>
        routesOf(props.routing)
            .filter((route) => route.endpointNames.includes(String(name)))
            .map((route) => route.name);
    const healthOf = (endpoint: Endpoint) =>
        health.data?.value.find((one) => one.endpointId === endpoint.item.name) ?? {};
    const number = (key: string) => (endpoint: Endpoint) => {
        const value = healthOf(endpoint)[key];
        return typeof value === 'number' ? value.toLocaleString() : '--';
    };
    const put = (list: string, items: Endpoint[], said: string) =>
        props.save({ endpoints: { [list]: items.map(({ item }) => item) } as Doc }, said);
    const inList = (list: string) => endpoints.filter((one) => one.list === list);
    return (
        <>
            <div class="actions">
                <button type="button" class="first" disabled={endpoints.length >= 10} onClick={() => setEdited('new')}>
                    Add an endpoint
                </button>
                <button type="button" onClick={health.reload}>
                    Refresh health
                </button>
            </div>
            <Failure text={health.error} retry={health.reload} />
            <Table
                label="Endpoints"
                rows={endpoints}
                empty="There are no custom endpoints; routes lead to the built-in one."
                columns={[
                    { name: 'Name', cell: ({ item }) => String(item.name) },
                    { name: 'Type', cell: ({ kind, item }) => kind?.name ?? String(item.type) },
                    {
                        name: 'Health',
                        cell: (endpoint) => {
                            const said = String(healthOf(endpoint).healthStatus ?? 'unknown');
                            return <Pill kind={healths[said as keyof typeof healths] ?? ''}>{said}</Pill>;
                        },
                    },
                    { name: 'Delivered', number: true, cell: number('delivered') },
                    { name: 'Failed attempts', number: true, cell: number('failedAttempts') },
                    {
                        name: 'Dead letters',
                        cell: (endpoint) => {
                            const count = Number(healthOf(endpoint).deadLetters ?? 0);
                            const name = String(endpoint.item.name);
                            return count ? (
                                <button
                                    type="button"
                                    class="small"
                                    aria-label={`Dead letters of ${name}`}
                                    onClick={() => setLetters(name)}
                                >
                                    {count.toLocaleString()}
                                </button>
                            ) : (
                                '0'
                            );
                        },
                    },
                    { name: 'Waits since', cell: (endpoint) => <When at={healthOf(endpoint).oldestWaitingTimeUtc} /> },
                    {
                        name: 'Last error',
                        wrap: true,
                        cell: (endpoint) => String(healthOf(endpoint).lastKnownError ?? '--'),
                    },
                    { name: 'Routes', cell: ({ item }) => users(item.name).join(', ') || '--' },
                    {
                        name: 'Actions',
                        cell: (endpoint) => (
                            <span class="actions">
                                {endpoint.kind && (
                                    <RowButton
                                        act="Edit"
                                        of={String(endpoint.item.name)}
                                        click={() => setEdited(endpoint)}
                                    />
                                )}
                                <RowButton
                                    act="Delete"
                                    of={String(endpoint.item.name)}
                                    danger
                                    click={() => setRemoved(endpoint)}
                                />
                            </span>
                        ),
                    },
                ]}
            />
            {edited && (
                <EndpointDialog
                    was={edited === 'new' ? null : edited}
                    others={endpoints.filter((one) => one !== edited).map(({ item }) => String(item.name))}
                    close={() => setEdited(null)}
                    send={(endpoint) => {
                        const list = inList(endpoint.list);
                        const next = list.some((one) => one === edited)
                            ? list.map((one) => (one === edited ? endpoint : one))
                            : [...list, endpoint];
                        return put(endpoint.list, next, `${String(endpoint.item.name)} is saved.`);
                    }}
                />
            )}
            {removed && (
                <DeleteDialog
                    what={String(removed.item.name)}
                    ready={!users(removed.item.name).length}
                    close={() => setRemoved(null)}
                    send={() =>
                        put(
                            removed.list,
                            inList(removed.list).filter((one) => one !== removed),
                            `${String(removed.item.name)} is deleted.`,
                        )
                    }
                >
                    <p class="note warn">
                        {users(removed.item.name).length
                            ? `Routes lead there: ${users(removed.item.name).join(', ')}. Change or delete them first.`
                            : 'What waits for it is dropped; its dead letters stay.'}
                    </p>
                </DeleteDialog>
            )}
            {letters && <DeadLetters name={letters} close={() => setLetters('')} />}
        </>
    );
}

function EndpointDialog(props: {
    was: Endpoint | null;
    others: string[];
    close: () => void;
    send: (endpoint: Endpoint) => Promise<void>;
}) {
    const was = props.was?.item ?? {};
    const [kind, setKind] = useState<EndpointKind>(props.was?.kind ?? (endpointKinds[0] as EndpointKind));
    const [row, setRow] = useState<Row>(endpointRow(was));
    const set = (key: string) => (value: string) => setRow({ ...row, [key]: value });
    const wrong = wrongEndpoint(kind, row, props.others);
    return (
        <FormDialog
            title={props.was ? `Endpoint ${String(was.name)}` : 'Add an endpoint'}
            action={props.was ? 'Save' : 'Add'}
            ready={!wrong}
            close={props.close}
            send={() => props.send({ kind, list: kind.list, item: endpointOf(kind, row, was) })}
        >
            {!props.was && (
                <>
                    <Choice
                        label="Type"
                        value={kind.type}
                        set={(type) => setKind(endpointKinds.find((one) => one.type === type) ?? kind)}
                        of={endpointKinds.map(({ type, name }) => [type, name])}
                    />
                    <Text label="Name" value={row.name ?? ''} set={set('name')} required />
                </>
            )}
            {kind.fields.map((field) => {
                const common = { label: field.label, value: row[field.key] ?? '', set: set(field.key) };
                if (field.of) return <Choice {...common} of={field.of.map((one) => [one, one])} />;
                if (field.lines) return <Area {...common} rows={3} hint={field.hint} />;
                return <Text {...common} hint={field.hint} required={field.required} />;
            })}
            {props.was && <p class="quiet">**** stands for a secret that stays as it is.</p>}
            {wrong && row.name && (
                <p class="wrong" role="status">
                    {wrong}
                </p>
            )}
        </FormDialog>
    );
}

function DeadLetters(props: { name: string; close: () => void }) {
    const api = useApi();
    const [from, setFrom] = useState<string | null>(null);
    const page = useLoad(
        () => api.page<Doc>(`/routing/endpoints/${enc(props.name)}/deadLetters`, {}, from),
        [props.name, from],
    );
    return (
        <Dialog title={`Dead letters of ${props.name}`} close={props.close}>
            <Failure text={page.error} retry={page.reload} />
            {!page.data && !page.error && <Shimmer />}
            {page.data?.items.map((letter, i) => (
                <details key={i}>
                    <summary>
                        {String(letter.reason)}, <When at={letter.deadLetteredTimeUtc} />
                    </summary>
                    <Show label={`Dead letter ${i + 1}`} value={letter} />
                </details>
            ))}
            <Pager from={from} next={page.data?.continuation} set={setFrom} />
            <form method="dialog">
                <div class="actions">
                    <button class="first">Close</button>
                </div>
            </form>
        </Dialog>
    );
}

/* ---- enrichments ---- */

interface Enrichment {
    key: string;
    value: string;
    endpointNames: string[];
}

const ENRICHMENTS_MOST = 10;

function EnrichmentsTab(props: TabProps) {
    const list = (props.routing.enrichments ?? []) as unknown as Enrichment[];
    const names = namesOf(props.routing);
    const [edited, setEdited] = useState<Enrichment | null>(null);
    const [removed, setRemoved] = useState('');
    const save = (next: Enrichment[], said: string) => props.save({ enrichments: next as unknown as Doc[] }, said);
    return (
        <>
            <p class="quiet">Properties that the hub puts on each message that goes to an endpoint.</p>
            <div class="actions">
                <button
                    type="button"
                    class="first"
                    disabled={list.length >= ENRICHMENTS_MOST}
                    onClick={() => setEdited({ key: '', value: '', endpointNames: names })}
                >
                    Add an enrichment
                </button>
            </div>
            <Table
                label="Enrichments"
                rows={list}
                empty="There are no enrichments."
                columns={[
                    { name: 'Name', cell: (one) => one.key },
                    { name: 'Value', cell: (one) => <code>{one.value}</code> },
                    { name: 'Endpoints', cell: (one) => one.endpointNames.join(', ') },
                    {
                        name: 'Actions',
                        cell: (one) => (
                            <span class="actions">
                                <RowButton act="Edit" of={one.key} click={() => setEdited(one)} />
                                <RowButton act="Delete" of={one.key} danger click={() => setRemoved(one.key)} />
                            </span>
                        ),
                    },
                ]}
            />
            {edited && (
                <EnrichmentDialog
                    one={edited}
                    names={names}
                    others={list.filter((one) => one !== edited).map((one) => one.key)}
                    close={() => setEdited(null)}
                    send={(one) =>
                        save(
                            list.includes(edited)
                                ? list.map((other) => (other === edited ? one : other))
                                : [...list, one],
                            `${one.key} is saved.`,
                        )
                    }
                />
            )}
            {removed && (
                <DeleteDialog
                    what={removed}
                    close={() => setRemoved('')}
                    send={() =>
                        save(
                            list.filter((one) => one.key !== removed),
                            `${removed} is deleted.`,
                        )
                    }
                >
                    <p class="note warn">Messages that come from now on do not have it.</p>
                </DeleteDialog>
            )}
        </>
    );
}

function EnrichmentDialog(props: {
    one: Enrichment;
    names: string[];
    others: string[];
    close: () => void;
    send: (one: Enrichment) => Promise<void>;
}) {
    const [one, setOne] = useState(props.one);
    const set = (change: Partial<Enrichment>) => setOne({ ...one, ...change });
    const taken = props.others.includes(one.key);
    return (
        <FormDialog
            title={props.one.key ? `Enrichment ${props.one.key}` : 'Add an enrichment'}
            action={props.one.key ? 'Save' : 'Add'}
            ready={Boolean(one.key && one.value && one.endpointNames.length) && !taken}
            close={props.close}
            send={() => props.send(one)}
        >
            <Text
                label="Name"
                value={one.key}
                set={(key) => set({ key })}
                required
                wrong={taken ? `There is an enrichment ${one.key} already.` : ''}
            />
            <Text
                label="Value"
                value={one.value}
                set={(value) => set({ value })}
                required
                hint="A text, $iothubname, or of the sender’s twin $twin.tags.site"
            />
            <EndpointChecks
                names={props.names}
                chosen={one.endpointNames}
                set={(endpointNames) => set({ endpointNames })}
            />
        </FormDialog>
    );
}

/* ---- trying ---- */

const propertyFields = [
    { key: 'name', label: 'Name' },
    { key: 'value', label: 'Value' },
];

interface Tried extends Doc {
    name: string;
    result: string;
}

function TestTab() {
    const api = useApi();
    const [form, setForm] = useState<TestForm>({
        source: 'DeviceMessages',
        body: '{"temperature": 21}',
        properties: [],
        system: [],
        twin: '',
    });
    const [condition, setCondition] = useState('');
    const [told, setTold] = useState<{ routes: Tried[]; fallback: unknown } | null>(null);
    const [one, setOne] = useState<Doc | null>(null);
    const { busy, failure, act } = useAct();
    const set = (change: Partial<TestForm>) => setForm({ ...form, ...change });
    const read = readObject(form.twin.trim() || '{}');
    const wrong = 'mistake' in read ? read.mistake.message : '';
    const results = { true: 'good', false: '', undefined: 'warn' } as const;
    const run = () =>
        act(async () => {
            setTold(null);
            setOne(null);
            const message = testOf(form);
            if (condition.trim()) {
                const route = {
                    name: 'new',
                    source: form.source,
                    condition,
                    endpointNames: ['events'],
                    isEnabled: true,
                };
                const body = { ...message, route };
                setOne(await api.ask('/routing/routes/$testnew', { method: 'POST', body }));
            } else {
                setTold(await api.ask('/routing/routes/$explain', { method: 'POST', body: message }));
            }
        });
    const mistakes = (((one?.details as Doc | undefined)?.compilationErrors ?? []) as Doc[]).map((mistake) => {
        const start = (mistake.location as Doc | undefined)?.start as Doc | undefined;
        const place = start ? `Line ${String(start.line)}, column ${String(start.column)}: ` : '';
        return place + String(mistake.message);
    });
    return (
        <div class="two">
            <section class="panel">
                <h2>A message</h2>
                <form
                    onSubmit={(event) => {
                        event.preventDefault();
                        if (!wrong && !busy) void run();
                    }}
                >
                    <Choice label="Source" value={form.source} set={(source) => set({ source })} of={sources} />
                    <Area label="Body" rows={5} value={form.body} set={(body) => set({ body })} />
                    <Rows
                        legend="Application properties"
                        one="property"
                        fields={propertyFields}
                        rows={form.properties}
                        set={(properties) => set({ properties })}
                    />
                    <Rows
                        legend="System properties"
                        one="system property"
                        hint="Such as contentType or connectionDeviceId"
                        fields={propertyFields}
                        rows={form.system}
                        set={(system) => set({ system })}
                    />
                    <Area
                        label="The sender’s twin (JSON)"
                        rows={3}
                        value={form.twin}
                        set={(twin) => set({ twin })}
                        wrong={wrong}
                        hint='Such as {"tags": {"floor": 2}}; or nothing'
                    />
                    <Area
                        label="A condition that is no route yet"
                        rows={2}
                        value={condition}
                        set={setCondition}
                        hint="Empty: all routes are tried"
                    />
                    <div class="actions">
                        <button class="first" disabled={busy || Boolean(wrong)}>
                            {condition.trim() ? 'Test the condition' : 'Test all routes'}
                        </button>
                    </div>
                </form>
            </section>
            <section class="panel" aria-live="polite">
                <h2>What becomes of it</h2>
                <Failure text={failure} />
                {!told && !one && !failure && (
                    <p class="quiet">Nothing has been tried yet. Nothing is sent or stored.</p>
                )}
                {one && (
                    <p>
                        <Pill kind={results[String(one.result) as keyof typeof results] ?? ''}>
                            {one.result === 'true' ? 'Matched' : one.result === 'false' ? 'Not matched' : 'Undefined'}
                        </Pill>
                    </p>
                )}
                {mistakes.map((mistake) => (
                    <p key={mistake} class="wrong">
                        {mistake}
                    </p>
                ))}
                {told && (
                    <>
                        <Table
                            label="Routes and the message"
                            rows={told.routes}
                            empty="There are no routes."
                            columns={[
                                { name: 'Route', cell: (route) => route.name },
                                {
                                    name: 'Result',
                                    cell: (route) => (
                                        <Pill kind={results[route.result as keyof typeof results] ?? ''}>
                                            {route.result === 'true' ? 'Matched' : 'Not matched'}
                                        </Pill>
                                    ),
                                },
                                { name: 'Why', wrap: true, cell: (route) => String(route.because ?? '') },
                            ]}
                        />
                        <p>
                            {told.fallback === true
                                ? 'No route takes it, so the fallback route leads it to the built-in endpoint.'
                                : told.routes.some((route) => route.result === 'true')
                                  ? ''
                                  : 'No route takes it: it goes nowhere.'}
                        </p>
                    </>
                )}
            </section>
        </div>
    );
}
