import { useState } from 'preact/hooks';
import { enc, literal, twinPath, type Doc, type Page } from '../api';
import { edgeClients, edgeModules, isUnhealthy, runtimeResponse, type EdgeModule } from '../logic/edge';
import { Pager } from '../forms';
import { href } from '../route';
import { Denied, Failure, PageHead, Pill, Shimmer, Show, Table, Tabs, useApi, useLoad, When } from '../ui';
import type { Api } from '../api';

const PER_PAGE = 25;

interface Edge {
    id: string;
    agent: Doc; // properties of $edgeAgent
    hub: Doc;
    deployments: number | null;
}

const properties = (twin: Doc | undefined) => (twin?.properties ?? {}) as Doc;

async function countDeployments(api: Api, id: string, signal: AbortSignal): Promise<number | null> {
    try {
        const told = await api.ask(`/devices/${enc(id)}/configurations`, { signal });
        return ((told.configurations ?? []) as Doc[]).filter((one) => one.status !== 'NotTargeted').length;
    } catch {
        return null;
    }
}

async function loadEdges(api: Api, from: string | null, signal: AbortSignal): Promise<Page<Edge>> {
    const page = await api.query(
        'SELECT deviceId FROM devices WHERE capabilities.iotEdge = true',
        from,
        PER_PAGE,
        signal,
    );
    const ids = page.items.map((one) => String(one.deviceId));
    if (!ids.length) return { items: [], continuation: null };
    const which = `deviceId IN [${ids.map(literal).join(', ')}] AND moduleId IN ['$edgeAgent', '$edgeHub']`;
    const [twins, deployments] = await Promise.all([
        api.query(`SELECT * FROM devices.modules WHERE ${which}`, null, 2 * PER_PAGE, signal),
        Promise.all(ids.map((id) => countDeployments(api, id, signal))),
    ]);
    const of = (id: string, module: string) =>
        properties(twins.items.find((twin) => twin.deviceId === id && twin.moduleId === module));
    const items = ids.map((id, i) => ({
        id,
        agent: of(id, '$edgeAgent'),
        hub: of(id, '$edgeHub'),
        deployments: deployments[i] ?? null,
    }));
    return { items, continuation: page.continuation };
}

function Response(props: { reported: unknown }) {
    const { code, text } = runtimeResponse(props.reported);
    return (
        <span title={text}>
            <Pill kind={code === '200' ? 'good' : code ? 'bad' : ''}>
                {text.length > 46 ? `${text.slice(0, 45)}…` : text}
            </Pill>
        </span>
    );
}

export function EdgesPage() {
    const api = useApi();
    const [from, setFrom] = useState<string | null>(null);
    const edges = useLoad(
        (signal) =>
            api.can('service') ? loadEdges(api, from, signal) : Promise.resolve({ items: [], continuation: null }),
        [from],
    );
    if (!api.can('service')) return <Denied what="query devices (it lacks ServiceConnect)" />;
    const modules = (edge: Edge) => edgeModules(edge.agent.desired, edge.agent.reported);
    const connected = (edge: Edge) =>
        edgeClients(edge.hub.reported).filter((client) => client.status === 'Connected').length;
    return (
        <>
            <PageHead title="IoT Edge devices" reload={edges.reload}>
                <a class="button" href={href('deployments')}>
                    Deployments
                </a>
            </PageHead>
            <Failure text={edges.error} retry={edges.reload} />
            <Table
                label="IoT Edge devices"
                rows={edges.data?.items ?? []}
                loading={edges.loading}
                empty="No edge devices to display"
                columns={[
                    { name: 'Device id', cell: (edge) => <a href={href('edge', edge.id)}>{edge.id}</a> },
                    { name: 'Runtime response', cell: (edge) => <Response reported={edge.agent.reported} /> },
                    { name: 'Modules', number: true, cell: (edge) => modules(edge).length },
                    { name: 'Unhealthy', number: true, cell: (edge) => modules(edge).filter(isUnhealthy).length },
                    { name: 'Connected clients', number: true, cell: connected },
                    { name: 'Deployments', number: true, cell: (edge) => edge.deployments ?? '--' },
                ]}
            />
            <Pager from={from} next={edges.data?.continuation} set={setFrom} />
        </>
    );
}

export function EdgePage(props: { id: string; tab: string }) {
    const api = useApi();
    const edge = useLoad(async () => {
        if (!api.can('service')) return null;
        const [agent, hub] = await Promise.all([
            api.ask(twinPath(props.id, '$edgeAgent')),
            api.ask(twinPath(props.id, '$edgeHub')),
        ]);
        return { agent: properties(agent), hub: properties(hub) };
    }, [props.id]);
    const here = (tab: string) => href('edge', props.id, tab);
    if (!api.can('service')) return <Denied what="read twins (it lacks ServiceConnect)" />;
    return (
        <>
            <p class="crumb">
                <a href={href('edge')}>IoT Edge</a>
            </p>
            <div class="head">
                <h1>{props.id}</h1>
                {edge.data && <Response reported={edge.data.agent.reported} />}
                <div class="actions">
                    <a class="button" href={href('edge', props.id, 'set-modules')}>
                        Set modules
                    </a>
                    <a class="button" href={href('devices', props.id)}>
                        Device
                    </a>
                    <a class="button" href={href('devices', props.id, 'twin')}>
                        Twin
                    </a>
                    <button type="button" onClick={edge.reload}>
                        Refresh
                    </button>
                </div>
            </div>
            <Tabs
                label={`Parts of ${props.id}`}
                at={here(props.tab)}
                of={[
                    [here('modules'), 'Modules'],
                    [here('clients'), 'Connected clients'],
                    [here('deployments'), 'Deployments'],
                    [here('manifest'), 'Manifest'],
                ]}
            />
            <Failure text={edge.error} retry={edge.reload} />
            {!edge.data && !edge.error && <Shimmer />}
            {edge.data && props.tab === 'modules' && (
                <ModuleTable id={props.id} modules={edgeModules(edge.data.agent.desired, edge.data.agent.reported)} />
            )}
            {edge.data && props.tab === 'clients' && (
                <Table
                    label="Connected clients"
                    rows={edgeClients(edge.data.hub.reported)}
                    empty="The edge’s hub has told of no clients."
                    columns={[
                        { name: 'Id', cell: (client) => client.id },
                        { name: 'Type', cell: (client) => client.type },
                        {
                            name: 'Status',
                            cell: (client) => (
                                <Pill kind={client.status === 'Connected' ? 'good' : ''}>{client.status || '--'}</Pill>
                            ),
                        },
                    ]}
                />
            )}
            {edge.data && props.tab === 'deployments' && <Deployments id={props.id} />}
            {edge.data && props.tab === 'manifest' && (
                <section class="panel">
                    <h2>What the modules are told</h2>
                    <Show
                        label="Desired properties"
                        value={{ $edgeAgent: edge.data.agent.desired, $edgeHub: edge.data.hub.desired }}
                    />
                </section>
            )}
        </>
    );
}

function ModuleTable(props: { id: string; modules: EdgeModule[] }) {
    const yes = (value: boolean) => (value ? 'Yes' : 'No');
    const kind = (module: EdgeModule) => (isUnhealthy(module) ? 'bad' : module.status === 'running' ? 'good' : '');
    return (
        <Table
            label="Modules"
            rows={props.modules}
            empty="There are no modules."
            columns={[
                {
                    name: 'Name',
                    cell: (module) => <a href={href('devices', props.id, 'modules', module.name)}>{module.name}</a>,
                },
                {
                    name: 'Type',
                    cell: (module) => (module.system ? 'IoT Edge system module' : 'IoT Edge custom module'),
                },
                { name: 'In deployment', cell: (module) => yes(module.specified) },
                { name: 'Reported', cell: (module) => yes(module.reported) },
                {
                    name: 'Runtime status',
                    cell: (module) => (module.status ? <Pill kind={kind(module)}>{module.status}</Pill> : '--'),
                },
                { name: 'Exit code', number: true, cell: (module) => module.exitCode || '--' },
                { name: 'Last start', cell: (module) => <When at={module.started} /> },
                {
                    name: 'Image',
                    cell: (module) => (module.image ? <code title={module.image}>{module.image}</code> : '--'),
                },
            ]}
        />
    );
}

function Deployments(props: { id: string }) {
    const api = useApi();
    const told = useLoad(() => api.ask(`/devices/${enc(props.id)}/configurations`), [props.id]);
    return (
        <>
            <Failure text={told.error} retry={told.reload} />
            <Table
                label="Deployments"
                rows={(told.data?.configurations ?? []) as Doc[]}
                loading={told.loading}
                empty="No deployment is for this device."
                columns={[
                    { name: 'Id', cell: (one) => <a href={href('deployments', String(one.id))}>{String(one.id)}</a> },
                    { name: 'Type', cell: (one) => String(one.kind ?? '--') },
                    { name: 'Priority', number: true, cell: (one) => String(one.priority ?? '--') },
                    {
                        name: 'Status',
                        cell: (one) => (
                            <Pill kind={one.status === 'Applied' ? 'good' : ''}>{String(one.status ?? '--')}</Pill>
                        ),
                    },
                    { name: 'Why', wrap: true, cell: (one) => String(one.why ?? '') },
                ]}
            />
        </>
    );
}
