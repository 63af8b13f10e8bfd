import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { DeleteDialog, FormDialog, type Row, Rows } from '../forms';
import { readObject } from '../logic/json';
import {
    behaviours,
    sensorModel,
    SENSORS_MAX,
    wrongModelId,
    wrongSensors,
    type DeviceModel,
    type SensorRow,
} from '../logic/simulations';
import { go, href } from '../route';
import {
    Area,
    Copy,
    Denied,
    Failure,
    Field,
    notify,
    PageHead,
    RowButton,
    Shimmer,
    Show,
    Table,
    Text,
    useApi,
    useLoad,
} from '../ui';
import { listModels, MODELS, SimulationTabs } from './simulations';

export function DeviceModelsPage() {
    const api = useApi();
    const [dialog, setDialog] = useState<'sensors' | 'upload' | DeviceModel | null>(null);
    const list = useLoad((signal) => (api.can('read') ? listModels(api, signal) : Promise.resolve([])), []);
    if (!api.can('read')) return <Denied what="read device models (it lacks RegistryRead)" />;
    const write = api.can('write');
    const close = () => setDialog(null);
    const done = (id: string) => (notify(`${id} is saved.`), list.reload());
    return (
        <>
            <PageHead title="Device models" reload={list.reload}>
                {write && (
                    <>
                        <button type="button" class="first" onClick={() => setDialog('sensors')}>
                            New model
                        </button>
                        <button type="button" onClick={() => setDialog('upload')}>
                            Upload
                        </button>
                    </>
                )}
            </PageHead>
            <SimulationTabs at="simulations/$models" />
            <Failure text={list.error} retry={list.reload} />
            <Table
                label="Device models"
                rows={list.data ?? []}
                loading={list.loading && !list.data}
                empty="No device models to display"
                columns={[
                    {
                        name: 'Model',
                        cell: (model) => <a href={href('simulations', '$models', model.Id)}>{model.Id}</a>,
                    },
                    {
                        name: 'Name',
                        wrap: true,
                        cell: (model) => <span title={model.Description}>{model.Name || '--'}</span>,
                    },
                    { name: 'Interval', cell: (model) => model.Telemetry[0]?.Interval ?? '--' },
                    {
                        name: 'Methods',
                        wrap: true,
                        cell: (model) => Object.keys(model.CloudToDeviceMethods ?? {}).join(', ') || '--',
                    },
                    { name: 'Type', cell: (model) => (model.Type === 'custom' ? 'your own' : 'comes along') },
                    {
                        name: 'Actions',
                        cell: (model) =>
                            write &&
                            model.Type === 'custom' && (
                                <RowButton act="Delete" of={model.Id} danger click={() => setDialog(model)} />
                            ),
                    },
                ]}
            />
            {dialog === 'sensors' && <SensorsForm close={close} done={done} />}
            {dialog === 'upload' && <UploadForm close={close} done={done} />}
            {dialog !== null && typeof dialog === 'object' && (
                <DeleteDialog
                    what={dialog.Id}
                    close={close}
                    send={async () => {
                        await api.ask(`${MODELS}/${enc(dialog.Id)}`, {
                            method: 'DELETE',
                            headers: { 'If-Match': '*' },
                        });
                        notify(`${dialog.Id} is deleted.`);
                        list.reload();
                    }}
                >
                    <p>A model that a simulation has devices of cannot be deleted.</p>
                </DeleteDialog>
            )}
        </>
    );
}

export function DeviceModelPage(props: { id: string }) {
    const api = useApi();
    const model = useLoad(
        (signal) => (api.can('read') ? api.ask(`${MODELS}/${enc(props.id)}`, { signal }) : Promise.resolve(null)),
        [props.id],
    );
    if (!api.can('read')) return <Denied what="read device models (it lacks RegistryRead)" />;
    const { Files, ETag: _, ...rest } = model.data ?? {};
    const files = Object.entries((Files as Doc | undefined) ?? {});
    return (
        <>
            <PageHead title={props.id} reload={model.reload}>
                {model.data && <Copy text={JSON.stringify({ ...rest, Files }, null, 2)} label="model" long />}
            </PageHead>
            <p class="quiet">
                <a href={href('simulations', '$models')}>Device models</a>
                {typeof rest.Description === 'string' && rest.Description && ` · ${rest.Description}`}
            </p>
            <Failure text={model.error} retry={model.reload} />
            {model.data ? <Show label="Model" value={rest} /> : !model.error && <Shimmer />}
            {files.map(([name, source]) => (
                <section key={name}>
                    <h2>{name}</h2>
                    <div class="diff" tabIndex={0} role="region" aria-label={`Script ${name}`}>
                        <div>{String(source)}</div>
                    </div>
                </section>
            ))}
        </>
    );
}

interface FormProps {
    close: () => void;
    done: (id: string) => void;
}

function SensorsForm(props: FormProps) {
    const api = useApi();
    const [id, setId] = useState('');
    const [name, setName] = useState('');
    const [description, setDescription] = useState('');
    const [interval, setInterval] = useState('10');
    const [rows, setRows] = useState<Row[]>([
        { name: 'temperature', behaviour: 'Math.Random.WithinRange', min: '20', max: '25', unit: 'C' },
    ]);
    const sensors = rows as unknown as SensorRow[];
    const wrong = wrongSensors(sensors);
    const wrongInterval = /^\d+$/.test(interval) && +interval >= 1 && +interval <= 359999 ? '' : '1 to 359999';
    return (
        <FormDialog
            title="New device model"
            action="Save"
            ready={!wrongModelId(id) && name.trim() !== '' && !wrong && !wrongInterval}
            close={props.close}
            send={async () => {
                const body = sensorModel({ id, name: name.trim(), description: description.trim(), interval }, sensors);
                await api.ask(`${MODELS}/${enc(id)}`, { method: 'PUT', body });
                props.done(id);
                go(href('simulations', '$models', id));
            }}
        >
            <Text label="Id" value={id} set={setId} required wrong={id ? wrongModelId(id) : ''} />
            <Text label="Name" value={name} set={setName} required />
            <Text label="Description" value={description} set={setDescription} />
            <Text label="Interval in s" value={interval} set={setInterval} wrong={wrongInterval} />
            <Rows
                legend="Sensors"
                hint={`At most ${SENSORS_MAX}. Increment and decrement go in a hundred steps, and begin again.`}
                one="sensor"
                most={SENSORS_MAX}
                fields={[
                    { key: 'name', label: 'Name' },
                    { key: 'behaviour', label: 'Behaviour', of: behaviours },
                    { key: 'min', label: 'Min' },
                    { key: 'max', label: 'Max' },
                    { key: 'unit', label: 'Unit' },
                ]}
                rows={rows}
                set={setRows}
            />
            {wrong && (
                <p class="wrong" role="status">
                    {wrong}
                </p>
            )}
        </FormDialog>
    );
}

/** A model's JSON, and its scripts beside it. */
function UploadForm(props: FormProps) {
    const api = useApi();
    const [text, setText] = useState('');
    const [files, setFiles] = useState<Record<string, string>>({});
    const read = readObject(text);
    const model = 'value' in read ? read.value : null;
    const id = typeof model?.Id === 'string' ? model.Id : '';
    const wrong = !text.trim() ? '' : 'mistake' in read ? read.mistake.message : wrongModelId(id);
    const take = async (list: FileList | null) => {
        for (const file of Array.from(list ?? [])) {
            const source = await file.text();
            if (file.name.toLowerCase().endsWith('.json')) setText(source);
            else setFiles((before) => ({ ...before, [file.name]: source }));
        }
    };
    return (
        <FormDialog
            title="Upload a device model"
            action="Save"
            ready={Boolean(model) && !wrong}
            close={props.close}
            send={async () => {
                const own = (model?.Files as Doc | undefined) ?? {};
                const all = { ...own, ...files };
                const body = { ...model, ...(Object.keys(all).length && { Files: all }) };
                await api.ask(`${MODELS}/${enc(id)}`, { method: 'PUT', body, headers: { 'If-Match': '*' } });
                props.done(id);
            }}
        >
            <Field
                label="Model (JSON) and scripts"
                hint="The scripts that the model names, too; those that come along need no file."
            >
                {(field, described) => (
                    <input
                        id={field}
                        type="file"
                        multiple
                        accept=".json,.js"
                        aria-describedby={described}
                        onChange={(event) => void take(event.currentTarget.files)}
                    />
                )}
            </Field>
            {Object.keys(files).length > 0 && <p role="status">Scripts: {Object.keys(files).join(', ')}</p>}
            <Area label="Model" rows={12} value={text} set={setText} wrong={wrong} />
        </FormDialog>
    );
}
