// What an edge device's content is edited with: by the wizards of deployments and of one device.
import { useState } from 'preact/hooks';
import type { Doc } from '../api';
import { FormDialog, Rows, type Row, type Step } from '../forms';
import {
    freshModule,
    MODULES_MOST,
    readEdge,
    restartPolicies,
    writeEdge,
    wrongModule,
    wrongRoutes,
    wrongRows,
    type EdgeForm,
    type ModuleForm,
} from '../logic/configurations';
import { readObject, type Tree } from '../logic/json';
import { Area, Choice, notify, Pill, RowButton, Show, Table, Text } from '../ui';

const pairs = (words: string[]) => words.map((word): [string, string] => [word, word]);
const whatRuns = (module: ModuleForm) => module.image || module.command.replace(/\n/g, ' ');

function ModuleSettings(props: { of: ModuleForm; set: (change: Partial<ModuleForm>) => void; system: boolean }) {
    const { of, set } = props;
    return (
        <>
            <div class="row even">
                <Choice
                    class="grow"
                    label="Type"
                    value={of.type}
                    set={(type) => set({ type })}
                    of={[
                        ['docker', 'Container'],
                        ['process', 'Program of the host'],
                    ]}
                />
                {!props.system && (
                    <Choice
                        class="grow"
                        label="Desired status"
                        value={of.status}
                        set={(status) => set({ status })}
                        of={pairs(['running', 'stopped'])}
                    />
                )}
                {!props.system && (
                    <Choice
                        class="grow"
                        label="Restart policy"
                        value={of.restartPolicy}
                        set={(restartPolicy) => set({ restartPolicy })}
                        of={pairs(restartPolicies)}
                    />
                )}
            </div>
            {of.type === 'process' ? (
                <Area
                    label="Command"
                    rows={2}
                    value={of.command}
                    set={(command) => set({ command })}
                    hint="An argument a line"
                />
            ) : (
                <>
                    <Text
                        label="Image"
                        value={of.image}
                        set={(image) => set({ image })}
                        hint="Such as registry.example/filter:1.0"
                    />
                    <div class="row even">
                        <Choice
                            class="grow"
                            label="Image pull policy"
                            value={of.imagePullPolicy}
                            set={(imagePullPolicy) => set({ imagePullPolicy })}
                            of={pairs(['on-create', 'never'])}
                        />
                        {!props.system && (
                            <Text
                                class="grow"
                                label="Startup order"
                                value={of.startupOrder}
                                set={(startupOrder) => set({ startupOrder })}
                                hint="0 is first; empty is last"
                            />
                        )}
                    </div>
                </>
            )}
            <Rows
                legend="Environment variables"
                one="variable"
                fields={[
                    { key: 'name', label: 'Name' },
                    { key: 'value', label: 'Value' },
                ]}
                rows={of.env}
                set={(env) => set({ env })}
            />
            {of.type !== 'process' && (
                <Area
                    label="Container create options (JSON)"
                    rows={4}
                    value={of.createOptions}
                    set={(createOptions) => set({ createOptions })}
                />
            )}
        </>
    );
}

function ModuleDialog(props: {
    module: ModuleForm;
    others: string[];
    layered: boolean;
    close: () => void;
    done: (module: ModuleForm) => void;
}) {
    const [form, setForm] = useState(props.module);
    const set = (change: Partial<ModuleForm>) => setForm({ ...form, ...change });
    const wrong = wrongModule(form, props.others);
    return (
        <FormDialog
            title={props.module.name ? `Module ${props.module.name}` : 'Add a module'}
            action={props.module.name ? 'Apply' : 'Add'}
            ready={!wrong}
            close={props.close}
            send={() => Promise.resolve(props.done({ ...form, image: form.image.trim() }))}
        >
            <Text label="Module name" value={form.name} set={(name) => set({ name })} required />
            <ModuleSettings of={form} set={set} system={false} />
            {props.layered && (
                <Text
                    label="Path of the twin’s settings"
                    value={form.path}
                    set={(path) => set({ path })}
                    hint="Below properties.desired, such as settings; empty: they replace all desired properties"
                />
            )}
            <Area
                label="Module twin’s desired properties (JSON)"
                rows={5}
                value={form.twin}
                set={(twin) => set({ twin })}
                hint="Empty: the twin stays as it is"
            />
            {wrong && form.name && (
                <p class="wrong" role="status">
                    {wrong}
                </p>
            )}
        </FormDialog>
    );
}

function RuntimeDialog(props: { form: EdgeForm; close: () => void; done: (form: EdgeForm) => void }) {
    const [form, setForm] = useState(props.form);
    const set = (change: Partial<EdgeForm>) => setForm({ ...form, ...change });
    const named = (module: ModuleForm) => (module.type === 'process' ? module.command : module.image).trim();
    const fine =
        named(form.agent) &&
        named(form.hub) &&
        /^\d{1,10}$/.test(form.timeToLive) &&
        !wrongRows(form.agent.env, 'variable') &&
        !wrongRows(form.hub.env, 'variable');
    return (
        <FormDialog
            title="Runtime settings"
            action="Apply"
            ready={Boolean(fine)}
            close={props.close}
            send={() => Promise.resolve(props.done(form))}
        >
            <fieldset class="stack">
                <legend>Edge agent</legend>
                <ModuleSettings of={form.agent} set={(to) => set({ agent: { ...form.agent, ...to } })} system />
                <Text label="Schema version" value={form.agentSchema} set={(agentSchema) => set({ agentSchema })} />
            </fieldset>
            <fieldset class="stack">
                <legend>Edge hub</legend>
                <ModuleSettings of={form.hub} set={(to) => set({ hub: { ...form.hub, ...to } })} system />
                <div class="row even">
                    <Text
                        class="grow"
                        label="Schema version"
                        value={form.hubSchema}
                        set={(hubSchema) => set({ hubSchema })}
                    />
                    <Text
                        class="grow"
                        label="Store and forward for, s"
                        value={form.timeToLive}
                        set={(timeToLive) => set({ timeToLive })}
                        wrong={/^\d{1,10}$/.test(form.timeToLive) ? '' : 'A number of seconds'}
                    />
                </div>
            </fieldset>
        </FormDialog>
    );
}

/** A manifest that somebody has as a file. */
function PasteDialog(props: { layered: boolean; close: () => void; done: (form: EdgeForm) => void }) {
    const [text, setText] = useState('');
    const read = readObject(text || '{}');
    const content = ('value' in read ? ((read.value.content ?? read.value) as Tree).modulesContent : null) as Tree;
    const wrong = !text.trim()
        ? ''
        : 'mistake' in read
          ? read.mistake.message
          : typeof content !== 'object' || content === null
            ? 'There is no modulesContent in it.'
            : readEdge(content).layered !== props.layered
              ? props.layered
                  ? 'This is no layer: none of its keys has a path.'
                  : 'This is a layer: its keys have paths.'
              : '';
    return (
        <FormDialog
            title="Begin with a manifest"
            action="Take it"
            ready={Boolean(text.trim()) && !wrong}
            close={props.close}
            send={() => Promise.resolve(props.done(readEdge(content)))}
        >
            <Area
                label="Deployment manifest (JSON)"
                rows={14}
                value={text}
                set={setText}
                wrong={wrong}
                hint="With modulesContent; it replaces what is in the wizard."
            />
        </FormDialog>
    );
}

function ModulesStep(props: { form: EdgeForm; set: (form: EdgeForm) => void }) {
    const { form, set } = props;
    const [dialog, setDialog] = useState<'' | 'runtime' | 'paste' | { at: number }>('');
    const close = () => setDialog('');
    const at = typeof dialog === 'object' ? dialog.at : -1;
    const put = (module: ModuleForm) => {
        const modules = [...form.modules];
        modules[at] = module;
        set({ ...form, modules });
    };
    return (
        <>
            <div class="head">
                <h2>Modules</h2>
                <div class="actions">
                    <button
                        type="button"
                        class="first"
                        disabled={form.modules.length >= MODULES_MOST}
                        onClick={() => setDialog({ at: form.modules.length })}
                    >
                        Add a module
                    </button>
                    {!form.layered && (
                        <button type="button" onClick={() => setDialog('runtime')}>
                            Runtime settings
                        </button>
                    )}
                    <button type="button" onClick={() => setDialog('paste')}>
                        From a manifest
                    </button>
                </div>
            </div>
            {!form.modules.length && !form.layered && (
                <p class="note warn">Without modules those that run now are removed; the runtime itself stays.</p>
            )}
            <Table
                label="Modules"
                rows={form.modules}
                empty="There are no modules yet."
                columns={[
                    { name: 'Name', cell: (module) => module.name },
                    { name: 'Runs', cell: (module) => <code title={whatRuns(module)}>{whatRuns(module)}</code> },
                    { name: 'Status', cell: (module) => module.status },
                    { name: 'Restart policy', cell: (module) => module.restartPolicy },
                    { name: 'Variables', number: true, cell: (module) => module.env.length },
                    { name: 'Twin', cell: (module) => (module.twin ? 'Set' : 'As it is') },
                    {
                        name: 'Actions',
                        cell: (module) => (
                            <span class="actions">
                                <RowButton
                                    act="Edit"
                                    of={module.name}
                                    click={() => setDialog({ at: form.modules.indexOf(module) })}
                                />
                                <RowButton
                                    act="Remove"
                                    of={module.name}
                                    danger
                                    click={() =>
                                        set({ ...form, modules: form.modules.filter((other) => other !== module) })
                                    }
                                />
                            </span>
                        ),
                    },
                ]}
            />
            {!form.layered && (
                <Rows
                    legend="Container registries"
                    one="registry"
                    hint="Credentials for images that not everybody may pull"
                    fields={[
                        { key: 'name', label: 'Name' },
                        { key: 'address', label: 'Address' },
                        { key: 'username', label: 'User' },
                        { key: 'password', label: 'Password', secret: true },
                    ]}
                    rows={form.registries}
                    set={(registries) => set({ ...form, registries })}
                />
            )}
            {at >= 0 && (
                <ModuleDialog
                    module={form.modules[at] ?? freshModule()}
                    others={form.modules.filter((_, i) => i !== at).map((module) => module.name)}
                    layered={form.layered}
                    close={close}
                    done={put}
                />
            )}
            {dialog === 'runtime' && <RuntimeDialog form={form} close={close} done={set} />}
            {dialog === 'paste' && (
                <PasteDialog
                    layered={form.layered}
                    close={close}
                    done={(read) => {
                        set(read);
                        notify('The manifest is in the wizard.');
                    }}
                />
            )}
        </>
    );
}

const routeFields = [
    { key: 'name', label: 'Name' },
    { key: 'route', label: 'Route', wide: true },
    { key: 'priority', label: 'Priority' },
    { key: 'timeToLive', label: 'Time to live, s' },
];

/** Modules and routes, as steps of a wizard. */
export function edgeSteps(form: EdgeForm, set: (form: EdgeForm) => void): Step[] {
    return [
        {
            name: 'Modules',
            wrong: wrongRows(form.registries, 'registry'),
            body: () => <ModulesStep form={form} set={set} />,
        },
        {
            name: 'Routes',
            wrong: wrongRoutes(form.routes),
            body: () => (
                <>
                    <h2>Routes</h2>
                    <Rows
                        legend="Between modules, devices and the hub"
                        one="route"
                        hint="Such as FROM /messages/modules/filter/outputs/alerts INTO $upstream. Priorities are 0 (first) to 9; without a time to live the runtime’s counts."
                        fields={routeFields}
                        rows={form.routes}
                        set={(routes: Row[]) => set({ ...form, routes })}
                    />
                </>
            ),
        },
    ];
}

/** What the review shows: passwords of registries are nobody's business. */
export function withoutPasswords(content: Tree): Tree {
    return JSON.parse(
        JSON.stringify(content, (key, value: unknown) => (key === 'password' && value ? '••••••' : value)),
    ) as Tree;
}

export function Manifest(props: { form: EdgeForm }) {
    return <Show label="Deployment manifest" value={{ modulesContent: withoutPasswords(writeEdge(props.form)) }} />;
}

/* ---- of a deployment that is there ---- */

const formOf = (content: Doc) => readEdge((content.modulesContent ?? {}) as Tree);

export function ModulesOf(props: { content: Doc }) {
    const form = formOf(props.content);
    const rows = [
        ...(form.layered
            ? []
            : [
                  { ...form.agent, name: '$edgeAgent' },
                  { ...form.hub, name: '$edgeHub' },
              ]),
        ...form.modules,
    ];
    return (
        <Table
            label="Modules"
            rows={rows}
            empty="It has no modules."
            columns={[
                { name: 'Name', cell: (module) => module.name },
                { name: 'Runs', cell: (module) => <code title={whatRuns(module)}>{whatRuns(module) || '--'}</code> },
                {
                    name: 'Desired status',
                    cell: (module) => <Pill kind={module.status === 'running' ? 'good' : ''}>{module.status}</Pill>,
                },
                { name: 'Restart policy', cell: (module) => module.restartPolicy },
                { name: 'Startup order', number: true, cell: (module) => module.startupOrder || '--' },
                { name: 'Variables', cell: (module) => module.env.map((row) => row.name).join(', ') || '--' },
                {
                    name: 'Twin',
                    wrap: true,
                    cell: (module) => (module.twin ? <code>{JSON.stringify(JSON.parse(module.twin))}</code> : '--'),
                },
            ]}
        />
    );
}

export function RoutesOf(props: { content: Doc }) {
    return (
        <Table
            label="Routes"
            rows={formOf(props.content).routes}
            empty="It has no routes."
            columns={[
                { name: 'Name', cell: (row) => row.name },
                { name: 'Route', wrap: true, cell: (row) => <code>{row.route}</code> },
                { name: 'Priority', number: true, cell: (row) => row.priority || '--' },
                { name: 'Time to live, s', number: true, cell: (row) => row.timeToLive || '--' },
            ]}
        />
    );
}
