// IoT Edge deployments and configurations of devices: the lists and one of them.
import { useState } from 'preact/hooks';
import { enc, type Api, type Doc } from '../api';
import { FormDialog, Pager, Rows, SaveRow, useAct, type Row } from '../forms';
import {
    isForEdge,
    kindNames,
    kindOf,
    rowsOf,
    tableOf,
    wrongPriority,
    wrongRows,
    type Kind,
} from '../logic/configurations';
import { go, href, useRoute } from '../route';
import { Area, Choice, Denied, Failure, notify, Shimmer, Show, Table, Tabs, Text, useApi, useLoad, When } from '../ui';
import { ConfigurationWizard } from './configuration-wizard';
import { ModulesOf, RoutesOf } from './edge-forms';

export const METRICS_MOST = 5;

export interface Configuration extends Doc {
    id: string;
    etag: string;
    content: Doc;
    labels: Doc;
    priority: number;
    targetCondition: string;
}

export const mayWrite = (api: Api) => api.can('write') && api.can('service');

const results = (one: Configuration, of: 'metrics' | 'systemMetrics') =>
    ((one[of] as Doc | undefined)?.results ?? {}) as Record<string, number>;
const queries = (one: Configuration, of: 'metrics' | 'systemMetrics') =>
    ((one[of] as Doc | undefined)?.queries ?? {}) as Record<string, string>;

const systemNames: Record<string, string> = {
    targetedCount: 'Targeted',
    appliedCount: 'Applied',
    reportedSuccessfulCount: 'Reporting success',
    reportedFailedCount: 'Reporting failure',
};

const place = (edge: boolean) => (edge ? 'deployments' : 'configurations');
const titles = { true: 'IoT Edge deployments', false: 'Device configurations' };
const titleOf = (edge: boolean) => titles[edge ? 'true' : 'false'];

export function ConfigurationsPage(props: { edge: boolean }) {
    const api = useApi();
    const route = useRoute();
    const fresh = route.query.get('new') as Kind | null;
    if (!api.can('read') || !api.can('service'))
        return <Denied what="read configurations (it needs RegistryRead and ServiceConnect)" />;
    if (fresh && fresh in kindNames)
        return <ConfigurationWizard kind={fresh} home={href(place(props.edge))} title={titleOf(props.edge)} />;
    return <ConfigurationList key={place(props.edge)} edge={props.edge} />;
}

function ConfigurationList(props: { edge: boolean }) {
    const api = useApi();
    const [chosen, setChosen] = useState<Set<string>>(new Set());
    const [asked, setAsked] = useState(false);
    const list = useLoad(async () => {
        const all = await api.ask<Configuration[]>('/configurations');
        return all.filter((one) => isForEdge(one.content) === props.edge);
    }, []);
    const reload = () => {
        setChosen(new Set());
        list.reload();
    };
    const choose = (id: string, on: boolean) => {
        const next = new Set(chosen);
        if (on) next.add(id);
        else next.delete(id);
        setChosen(next);
    };
    const system = (name: string) => (one: Configuration) => results(one, 'systemMetrics')[name] ?? '--';
    const kinds: Kind[] = props.edge ? ['deployment', 'layered'] : ['devices', 'modules'];
    return (
        <>
            <div class="head">
                <h1>{titleOf(props.edge)}</h1>
                <div class="actions">
                    {mayWrite(api) &&
                        kinds.map((kind) => (
                            <a class="button" href={`${href(place(props.edge))}?new=${kind}`}>
                                {props.edge ? `New ${kindNames[kind].toLowerCase()}` : `New for ${kind}`}
                            </a>
                        ))}
                    <button type="button" onClick={reload}>
                        Refresh
                    </button>
                    {mayWrite(api) && (
                        <button type="button" class="danger" disabled={!chosen.size} onClick={() => setAsked(true)}>
                            Delete{chosen.size ? ` (${chosen.size})` : ''}
                        </button>
                    )}
                </div>
            </div>
            <Failure text={list.error} retry={list.reload} />
            <Table
                label={titleOf(props.edge)}
                rows={list.data ?? []}
                loading={list.loading}
                empty={props.edge ? 'No deployments to display' : 'No configurations to display'}
                columns={[
                    ...(mayWrite(api)
                        ? [
                              {
                                  name: 'Chosen',
                                  pick: true,
                                  cell: (one: Configuration) => (
                                      <input
                                          type="checkbox"
                                          aria-label={`Choose ${one.id}`}
                                          checked={chosen.has(one.id)}
                                          onChange={(event) => choose(one.id, event.currentTarget.checked)}
                                      />
                                  ),
                              },
                          ]
                        : []),
                    { name: 'Id', cell: (one) => <a href={href(place(props.edge), one.id)}>{one.id}</a> },
                    { name: 'Type', cell: (one) => kindNames[kindOf(one.content)] },
                    { name: 'Target condition', cell: (one) => <code>{one.targetCondition || 'nobody'}</code> },
                    { name: 'Priority', number: true, cell: (one) => one.priority },
                    { name: 'Targeted', number: true, cell: system('targetedCount') },
                    { name: 'Applied', number: true, cell: system('appliedCount') },
                    ...(props.edge
                        ? [
                              { name: 'Success', number: true, cell: system('reportedSuccessfulCount') },
                              { name: 'Failure', number: true, cell: system('reportedFailedCount') },
                          ]
                        : []),
                    {
                        name: 'Custom metrics',
                        cell: (one) =>
                            Object.entries(results(one, 'metrics'))
                                .map(([name, count]) => `${name}: ${count}`)
                                .join(', ') || '--',
                    },
                    { name: 'Created', cell: (one) => <When at={one.createdTimeUtc} /> },
                ]}
            />
            {asked && (
                <DeleteConfigurations edge={props.edge} ids={[...chosen]} close={() => setAsked(false)} done={reload} />
            )}
        </>
    );
}

function DeleteConfigurations(props: { edge: boolean; ids: string[]; close: () => void; done: () => void }) {
    const api = useApi();
    const what = props.edge ? 'deployment' : 'configuration';
    const one = props.ids.length === 1;
    return (
        <FormDialog
            title={`Delete ${props.ids.length} ${what}${one ? '' : 's'}?`}
            action="Delete"
            danger
            close={props.close}
            send={async () => {
                for (const id of props.ids) await api.ask(`/configurations/${enc(id)}`, { method: 'DELETE' });
                notify(one ? `${props.ids[0] ?? ''} is deleted.` : `${props.ids.length} ${what}s are deleted.`);
                props.done();
            }}
        >
            <p class="note warn">
                {props.edge
                    ? 'On each edge device the deployment with the next lower priority whose condition holds takes over; where there is none, the modules stay as they are.'
                    : 'What it has set goes from each twin, unless another configuration sets it.'}{' '}
                It cannot be undone.
            </p>
            <ul class="list" tabIndex={0} aria-label="What will be deleted">
                {props.ids.map((id) => (
                    <li key={id}>{id}</li>
                ))}
            </ul>
        </FormDialog>
    );
}

export function ConfigurationPage(props: { edge: boolean; id: string; tab: string }) {
    const api = useApi();
    const [asked, setAsked] = useState(false);
    const path = `/configurations/${enc(props.id)}`;
    const readable = api.can('read') && api.can('service');
    const loaded = useLoad(() => (readable ? api.ask<Configuration>(path) : Promise.resolve(null)), [props.id]);
    if (!readable) return <Denied what="read configurations (it needs RegistryRead and ServiceConnect)" />;
    const one = loaded.data;
    const here = (tab: string) => href(place(props.edge), props.id, tab);
    const save = async (changes: Partial<Configuration>) => {
        if (!one) return;
        await api.ask(path, {
            method: 'PUT',
            headers: { 'If-Match': `"${one.etag}"` },
            body: { ...one, ...changes },
        });
        notify('Saved.');
        loaded.reload();
    };
    const tabs: [string, string][] = [
        ['target', 'Target devices'],
        ['metrics', 'Metrics'],
        ['labels', 'Labels'],
        ...(props.edge
            ? ([
                  ['modules', 'Modules'],
                  ['routes', 'Routes'],
              ] as [string, string][])
            : []),
        ['content', 'Content'],
    ];
    return (
        <>
            <p class="crumb">
                <a href={href(place(props.edge))}>{titleOf(props.edge)}</a>
            </p>
            <div class="head">
                <h1>{props.id}</h1>
                {one && <span class="quiet">{kindNames[kindOf(one.content)]}</span>}
                <div class="actions">
                    <button type="button" onClick={loaded.reload}>
                        Refresh
                    </button>
                    {mayWrite(api) && (
                        <button type="button" class="danger" disabled={!one} onClick={() => setAsked(true)}>
                            Delete
                        </button>
                    )}
                </div>
            </div>
            <Tabs
                label={`Parts of ${props.id}`}
                at={here(props.tab)}
                of={tabs.map(([tab, text]) => [here(tab), text])}
            />
            <Failure text={loaded.error} retry={loaded.reload} />
            {!one && !loaded.error && <Shimmer />}
            {one && props.tab === 'target' && <TargetTab key={one.etag} one={one} save={save} />}
            {one && props.tab === 'metrics' && <MetricsTab key={one.etag} one={one} save={save} />}
            {one && props.tab === 'labels' && <LabelsTab key={one.etag} one={one} save={save} />}
            {one && props.tab === 'modules' && <ModulesOf content={one.content} />}
            {one && props.tab === 'routes' && <RoutesOf content={one.content} />}
            {one && props.tab === 'content' && (
                <section class="panel">
                    <h2>What it gives</h2>
                    <Show label="Content" value={one.content} />
                </section>
            )}
            {asked && (
                <DeleteConfigurations
                    edge={props.edge}
                    ids={[props.id]}
                    close={() => setAsked(false)}
                    done={() => go(href(place(props.edge)))}
                />
            )}
        </>
    );
}

interface TabProps {
    one: Configuration;
    save: (changes: Partial<Configuration>) => Promise<void>;
}

/** The query that finds whom a condition means. */
export function targetQuery(kind: Kind, condition: string): string {
    const where = condition.trim();
    if (kind === 'modules') return `SELECT deviceId, moduleId ${where}`;
    const edge = kind === 'devices' ? '' : 'capabilities.iotEdge = true';
    const all = [edge, where === '*' ? '' : `(${where})`].filter(Boolean).join(' AND ');
    return 'SELECT deviceId FROM devices' + (all ? ` WHERE ${all}` : '');
}

/** Devices or modules that a query selects, page by page. */
export function Selected(props: { query: string; label: string }) {
    const api = useApi();
    const [from, setFrom] = useState<string | null>(null);
    const page = useLoad((signal) => api.query(props.query, from, 25, signal), [props.query, from]);
    const rows = page.data?.items ?? [];
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const cell = (row: Doc, name: string) => {
        const value = row[name];
        if (name === 'deviceId' && typeof value === 'string') return <a href={href('devices', value)}>{value}</a>;
        if (name === 'moduleId' && typeof value === 'string' && typeof row.deviceId === 'string')
            return <a href={href('devices', row.deviceId, 'modules', value)}>{value}</a>;
        return value === undefined ? '--' : typeof value === 'string' ? value : JSON.stringify(value);
    };
    return (
        <>
            <Failure text={page.error} retry={page.reload} />
            {!page.error && (
                <Table
                    label={props.label}
                    rows={rows}
                    loading={page.loading}
                    empty="Nobody is selected at this moment."
                    columns={names.slice(0, 12).map((name) => ({ name, cell: (row: Doc) => cell(row, name) }))}
                />
            )}
            <Pager from={from} next={page.data?.continuation} set={setFrom} />
        </>
    );
}

const conditionHints: Record<Kind, string> = {
    devices: "Such as tags.site = 'north'; * is every device, nothing nobody.",
    modules: "Such as FROM devices.modules WHERE moduleId = 'filter'; nothing is nobody.",
    deployment: "Such as tags.site = 'north'; * is every edge device, nothing nobody.",
    layered: 'Such as tags.camera = true; * is every edge device, nothing nobody.',
};

/** Condition and priority, with a look at whom they mean. */
export function TargetFields(props: {
    kind: Kind;
    condition: string;
    setCondition: (text: string) => void;
    priority: string;
    setPriority: (text: string) => void;
}) {
    const [seen, setSeen] = useState<string | null>(null);
    return (
        <>
            <Text
                label="Priority"
                value={props.priority}
                set={props.setPriority}
                wrong={wrongPriority(props.priority)}
                hint={
                    props.kind === 'layered'
                        ? 'It must be above that of the deployment that it changes; of equals the newer is in force.'
                        : 'The higher one is in force; of equals the newer.'
                }
            />
            <Area
                label="Target condition"
                rows={3}
                value={props.condition}
                set={props.setCondition}
                hint={conditionHints[props.kind]}
            />
            <div class="actions">
                <button
                    type="button"
                    disabled={!props.condition.trim()}
                    onClick={() => setSeen(targetQuery(props.kind, props.condition))}
                >
                    {props.kind === 'modules' ? 'View modules' : 'View devices'}
                </button>
            </div>
            {seen && <Selected key={seen} query={seen} label="Whom the condition means" />}
        </>
    );
}

function TargetTab(props: TabProps) {
    const api = useApi();
    const { one } = props;
    const [condition, setCondition] = useState(one.targetCondition);
    const [priority, setPriority] = useState(String(one.priority));
    const { busy, failure, act } = useAct();
    return (
        <section class="panel">
            <h2>Target devices</h2>
            <TargetFields kind={kindOf(one.content)} {...{ condition, setCondition, priority, setPriority }} />
            <Failure text={failure} />
            {mayWrite(api) && (
                <SaveRow
                    dirty={condition !== one.targetCondition || priority !== String(one.priority)}
                    wrong={wrongPriority(priority)}
                    busy={busy}
                    save={() => void act(() => props.save({ targetCondition: condition, priority: Number(priority) }))}
                    discard={() => {
                        setCondition(one.targetCondition);
                        setPriority(String(one.priority));
                    }}
                />
            )}
        </section>
    );
}

export const metricFields = [
    { key: 'name', label: 'Name' },
    { key: 'query', label: 'Query', wide: true },
];

export const metricHint =
    'The value is the number of rows, such as SELECT deviceId FROM devices WHERE properties.reported.ok = true';

function MetricsTab(props: TabProps) {
    const api = useApi();
    const { one } = props;
    const stored = rowsOf(queries(one, 'metrics'), 'query');
    const [rows, setRows] = useState<Row[]>(stored);
    const [seen, setSeen] = useState('');
    const { busy, failure, act } = useAct();
    const metrics = (['systemMetrics', 'metrics'] as const).flatMap((of) =>
        Object.entries(queries(one, of)).map(([name, query]) => ({
            id: `${of}.${name}`,
            name: of === 'metrics' ? name : (systemNames[name] ?? name),
            custom: of === 'metrics',
            query,
            count: results(one, of)[name],
        })),
    );
    const shown = metrics.find((metric) => metric.id === seen);
    return (
        <>
            <Table
                label="Metrics"
                rows={metrics}
                empty="There are no metrics."
                columns={[
                    { name: 'Metric', cell: (metric) => metric.name },
                    { name: 'Type', cell: (metric) => (metric.custom ? 'Custom' : 'System') },
                    { name: 'Value', number: true, cell: (metric) => metric.count ?? '--' },
                    { name: 'Query', wrap: true, cell: (metric) => <code>{metric.query}</code> },
                ]}
            />
            <section class="panel">
                <h2>Rows of a metric</h2>
                <Choice
                    label="Metric"
                    value={seen}
                    set={setSeen}
                    of={[['', 'Choose one'], ...metrics.map(({ id, name }): [string, string] => [id, name])]}
                />
                {shown && <Selected key={shown.query} query={shown.query} label={`Rows of ${shown.name}`} />}
            </section>
            <section class="panel">
                <h2>Custom metrics</h2>
                <Rows
                    legend="Queries"
                    one="metric"
                    most={METRICS_MOST}
                    hint={metricHint}
                    fields={metricFields}
                    rows={rows}
                    set={setRows}
                />
                <Failure text={failure} />
                {mayWrite(api) && (
                    <SaveRow
                        dirty={JSON.stringify(rows) !== JSON.stringify(stored)}
                        wrong={wrongRows(rows, 'metric')}
                        busy={busy}
                        save={() => void act(() => props.save({ metrics: { queries: tableOf(rows, 'query') } }))}
                        discard={() => setRows(stored)}
                    />
                )}
            </section>
        </>
    );
}

export const labelFields = [
    { key: 'name', label: 'Name' },
    { key: 'value', label: 'Value' },
];

function LabelsTab(props: TabProps) {
    const api = useApi();
    const stored = rowsOf(props.one.labels, 'value');
    const [rows, setRows] = useState<Row[]>(stored);
    const { busy, failure, act } = useAct();
    return (
        <section class="panel">
            <h2>Labels</h2>
            <Rows legend="Labels" one="label" most={100} fields={labelFields} rows={rows} set={setRows} />
            <Failure text={failure} />
            {mayWrite(api) && (
                <SaveRow
                    dirty={JSON.stringify(rows) !== JSON.stringify(stored)}
                    wrong={wrongRows(rows, 'label')}
                    busy={busy}
                    save={() => void act(() => props.save({ labels: tableOf(rows, 'value') }))}
                    discard={() => setRows(stored)}
                />
            )}
        </section>
    );
}
