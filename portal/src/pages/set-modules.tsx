// Modules and routes of one edge device, beginning with what it has.
import { useState } from 'preact/hooks';
import { enc, literal, type Api, type Doc } from '../api';
import { Wizard } from '../forms';
import { readEdge, writeEdge, type EdgeForm } from '../logic/configurations';
import { withoutMetadata, type Tree } from '../logic/json';
import { go, href } from '../route';
import { Denied, Failure, notify, Shimmer, useApi, useLoad } from '../ui';
import { edgeSteps, Manifest } from './edge-forms';

interface Now {
    form: EdgeForm;
    deployments: string[]; // that are in force
}

/** What the device has, as a deployment would say it. */
async function loadNow(api: Api, id: string): Promise<Now> {
    const [twins, told] = await Promise.all([
        api.query(`SELECT * FROM devices.modules WHERE deviceId = ${literal(id)}`),
        api.can('read') ? api.ask(`/devices/${enc(id)}/configurations`) : null,
    ]);
    if (!twins.items.some((twin) => twin.moduleId === '$edgeAgent')) throw new Error(`${id} is no edge device.`);
    const content: Tree = Object.fromEntries(
        twins.items.flatMap((twin) => {
            const desired = withoutMetadata(((twin.properties ?? {}) as Doc).desired);
            return Object.keys(desired).length ? [[String(twin.moduleId), { 'properties.desired': desired }]] : [];
        }),
    );
    const form = readEdge(content);
    form.was.rest = {}; // of modules that it does not run nothing changes
    const deployments = ((told?.configurations ?? []) as Doc[])
        .filter((one) => one.status === 'Applied')
        .map((one) => String(one.id));
    return { form, deployments };
}

export function SetModulesPage(props: { id: string }) {
    const api = useApi();
    const now = useLoad(() => (api.can('service') ? loadNow(api, props.id) : Promise.resolve(null)), [props.id]);
    if (!api.can('service')) return <Denied what="set modules (it lacks ServiceConnect)" />;
    return (
        <>
            <p class="crumb">
                <a href={href('edge')}>IoT Edge</a>
                {' / '}
                <a href={href('edge', props.id)}>{props.id}</a>
            </p>
            <h1>Set modules on {props.id}</h1>
            <Failure text={now.error} retry={now.reload} />
            {!now.data && !now.error && <Shimmer />}
            {now.data && <SetModules id={props.id} {...now.data} />}
        </>
    );
}

function SetModules(props: { id: string } & Now) {
    const api = useApi();
    const [form, setForm] = useState(props.form);
    return (
        <>
            {props.deployments.length > 0 && (
                <p class="note warn">
                    {props.deployments.join(', ')} {props.deployments.length === 1 ? 'is' : 'are'} in force on this
                    device, and will put back what you change here.
                </p>
            )}
            <Wizard
                steps={[
                    ...edgeSteps(form, setForm),
                    {
                        name: 'Review',
                        body: () => (
                            <>
                                <h2>Review</h2>
                                <Manifest form={form} />
                            </>
                        ),
                    },
                ]}
                action="Apply"
                finish={async () => {
                    await api.ask(`/devices/${enc(props.id)}/applyConfigurationContent`, {
                        method: 'POST',
                        body: { modulesContent: writeEdge(form) },
                    });
                    notify(`The modules of ${props.id} are set.`);
                    go(href('edge', props.id));
                }}
            />
        </>
    );
}
