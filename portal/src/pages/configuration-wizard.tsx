// A new deployment, layered deployment or configuration, step by step.
import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Rows, Wizard, type Row, type Step } from '../forms';
import {
    freshEdge,
    kindNames,
    settingsOf,
    tableOf,
    writeEdge,
    wrongId,
    wrongPriority,
    wrongRows,
    wrongSettings,
    type Kind,
} from '../logic/configurations';
import { go } from '../route';
import { notify, Show, Text, useApi } from '../ui';
import { labelFields, metricFields, metricHint, METRICS_MOST, TargetFields } from './configurations';
import { edgeSteps, withoutPasswords } from './edge-forms';

const settingHints: Partial<Record<Kind, string>> = {
    devices: 'Below properties.desired of the devices’ twins, such as chiller.temp and 70; a text is in quotes.',
    modules: 'Below properties.desired of the modules’ twins, such as chiller.temp and 70; a text is in quotes.',
};

export function ConfigurationWizard(props: { kind: Kind; home: string; title: string }) {
    const api = useApi();
    const { kind } = props;
    const forEdge = kind === 'deployment' || kind === 'layered';
    const [id, setId] = useState('');
    const [labels, setLabels] = useState<Row[]>([]);
    const [edge, setEdge] = useState(freshEdge(kind === 'layered'));
    const [settings, setSettings] = useState<Row[]>([{ path: '', value: '' }]);
    const [metrics, setMetrics] = useState<Row[]>([]);
    const [condition, setCondition] = useState('');
    const [priority, setPriority] = useState('10');
    const content: Doc = forEdge
        ? { modulesContent: writeEdge(edge) as Doc }
        : { [kind === 'modules' ? 'moduleContent' : 'deviceContent']: settingsOf(settings) as Doc };
    const document = {
        id,
        labels: tableOf(labels, 'value'),
        priority: Number(priority),
        targetCondition: condition.trim(),
        content,
        metrics: { queries: tableOf(metrics, 'query') },
    };
    const settingsStep: Step = {
        name: 'Settings',
        wrong: wrongSettings(settings),
        body: () => (
            <>
                <h2>Settings</h2>
                <Rows
                    legend="Desired properties"
                    one="setting"
                    hint={settingHints[kind]}
                    fields={[
                        { key: 'path', label: 'Path' },
                        { key: 'value', label: 'Value (JSON)', wide: true },
                    ]}
                    rows={settings}
                    set={setSettings}
                />
            </>
        ),
    };
    const contentSteps = edgeSteps(edge, setEdge).map((step) =>
        kind === 'layered' && step.name === 'Routes' && !edge.modules.length && !edge.routes.length
            ? { ...step, wrong: 'A layer has at least one module or route.' }
            : step,
    );
    const steps: Step[] = [
        {
            name: 'Name and labels',
            wrong: id ? wrongId(id) || wrongRows(labels, 'label') : 'It needs an id.',
            body: () => (
                <>
                    <h2>Name and labels</h2>
                    <Text
                        label="Id"
                        value={id}
                        set={setId}
                        required
                        wrong={id ? wrongId(id) : ''}
                        hint="It cannot be changed later, and neither can what it gives."
                    />
                    <Rows legend="Labels" one="label" most={100} fields={labelFields} rows={labels} set={setLabels} />
                </>
            ),
        },
        ...(forEdge ? contentSteps : [settingsStep]),
        {
            name: 'Metrics',
            wrong: wrongRows(metrics, 'metric'),
            body: () => (
                <>
                    <h2>Metrics</h2>
                    <Rows
                        legend="Queries"
                        one="metric"
                        most={METRICS_MOST}
                        hint={`${metricHint}. How many are targeted and have applied it is counted anyway.`}
                        fields={metricFields}
                        rows={metrics}
                        set={setMetrics}
                    />
                </>
            ),
        },
        {
            name: kind === 'modules' ? 'Target modules' : 'Target devices',
            wrong: wrongPriority(priority),
            body: () => (
                <>
                    <h2>{kind === 'modules' ? 'Target modules' : 'Target devices'}</h2>
                    <TargetFields {...{ kind, condition, setCondition, priority, setPriority }} />
                </>
            ),
        },
        {
            name: 'Review',
            body: () => (
                <>
                    <h2>Review</h2>
                    {!condition.trim() && <p class="note warn">Without a target condition it is for nobody.</p>}
                    <Show label="What will be created" value={withoutPasswords(document)} />
                </>
            ),
        },
    ];
    return (
        <>
            <p class="crumb">
                <a href={props.home}>{props.title}</a>
            </p>
            <h1>
                {forEdge
                    ? `New ${kindNames[kind].toLowerCase()}`
                    : `New configuration for ${kindNames[kind].toLowerCase()}`}
            </h1>
            <Wizard
                steps={steps}
                action="Create"
                finish={async () => {
                    await api.ask(`/configurations/${enc(id)}`, { method: 'PUT', body: document });
                    notify(`${id} is there.`);
                    go(props.home);
                }}
            />
        </>
    );
}
