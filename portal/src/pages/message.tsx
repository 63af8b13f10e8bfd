// A message to a device, and those that wait for it.
import { useState } from 'preact/hooks';
import { identityPath } from '../api';
import { Check, FormDialog, Rows, useAct, type Row } from '../forms';
import { wrongRows } from '../logic/configurations';
import { Area, Choice, Denied, Failure, notify, Text, useApi, useLoad } from '../ui';

const TTL_MOST = 2880; // minutes: two days
const BODY_MOST = 64 * 1024;

const wrongValue = (text: string) => (/^[\x20-\x7e]*$/.test(text) ? '' : 'Letters, digits and signs of ASCII');
const wrongPropertyName = (text: string) =>
    /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(text) ? '' : 'Letters, digits and !#$%&’*+-.^_`|~';

const acks: [string, string][] = [
    ['', 'None'],
    ['positive', 'Positive: when it is completed'],
    ['negative', 'Negative: when it is not'],
    ['full', 'Full: both'],
];

export function MessageTab(props: { device: string }) {
    const api = useApi();
    const [body, setBody] = useState('{"text": "hello"}');
    const [stamped, setStamped] = useState(false);
    const [properties, setProperties] = useState<Row[]>([]);
    const [system, setSystem] = useState<Row>({});
    const [minutes, setMinutes] = useState('');
    const [purging, setPurging] = useState(false);
    const { busy, failure, act } = useAct();
    const path = identityPath(props.device);
    const identity = useLoad(() => (api.can('read') ? api.ask(path) : Promise.resolve(null)), [props.device]);
    if (!api.can('service')) return <Denied what="send messages (it lacks ServiceConnect)" />;
    const set = (name: string) => (value: string) => setSystem({ ...system, [name]: value });
    const waiting = Number(identity.data?.cloudToDeviceMessageCount ?? 0);
    const wrongMinutes =
        !minutes || (/^\d+$/.test(minutes) && Number(minutes) >= 1 && Number(minutes) <= TTL_MOST)
            ? ''
            : `1 to ${TTL_MOST} minutes`;
    const long = new TextEncoder().encode(body).length > BODY_MOST;
    const fine =
        !wrongMinutes &&
        !long &&
        !wrongRows(properties, 'property') &&
        properties.every((row) => !wrongPropertyName(row.name ?? '') && !wrongValue(row.value ?? '')) &&
        Object.values(system).every((value) => !wrongValue(value));
    const send = () =>
        act(async () => {
            const named: Record<string, string> = {
                ...Object.fromEntries(properties.map((row) => [`iothub-app-${row.name}`, row.value ?? ''])),
                ...Object.fromEntries(Object.entries(system).filter(([, value]) => value)),
            };
            if (minutes) named['iothub-expiry'] = new Date(Date.now() + Number(minutes) * 60000).toISOString();
            await api.ask(`${path}/messages/devicebound`, {
                method: 'POST',
                body: stamped ? `${new Date().toISOString()} - ${body}` : body,
                headers: { ...named, 'Content-Type': 'application/octet-stream' },
            });
            notify('The message waits for the device.');
            identity.reload();
        });
    const text = (label: string, name: string, hint?: string) => (
        <Text
            class="grow"
            label={label}
            value={system[name] ?? ''}
            set={set(name)}
            wrong={wrongValue(system[name] ?? '')}
            hint={hint}
        />
    );
    return (
        <div class="two">
            <section class="panel">
                <h2>Message to the device</h2>
                <form
                    onSubmit={(event) => {
                        event.preventDefault();
                        if (fine && !busy) void send();
                    }}
                >
                    <Area
                        label="Body"
                        rows={6}
                        value={body}
                        set={setBody}
                        wrong={long ? 'A message has at most 64 KB.' : ''}
                    />
                    <Check label="Add the time to the body" value={stamped} set={setStamped} />
                    <Rows
                        legend="Properties"
                        one="property"
                        fields={[
                            { key: 'name', label: 'Name', wrong: wrongPropertyName },
                            { key: 'value', label: 'Value', wrong: wrongValue },
                        ]}
                        rows={properties}
                        set={setProperties}
                    />
                    <div class="row even">
                        {text('Message id', 'iothub-messageid', 'Feedback names it')}
                        {text('Correlation id', 'iothub-correlationid')}
                    </div>
                    <div class="row even">
                        {text('Content type', 'iothub-contenttype', 'Such as application/json')}
                        {text('Content encoding', 'iothub-contentencoding', 'Such as utf-8')}
                    </div>
                    <div class="row even">
                        <Choice
                            class="grow"
                            label="Feedback"
                            value={system['iothub-ack'] ?? ''}
                            set={set('iothub-ack')}
                            of={acks}
                        />
                        <Text
                            class="grow"
                            label="Expires after minutes"
                            value={minutes}
                            set={setMinutes}
                            wrong={wrongMinutes}
                            hint="Empty: what the hub says"
                        />
                    </div>
                    <Failure text={failure} />
                    <div class="actions">
                        <button class="first" disabled={busy || !fine}>
                            Send
                        </button>
                    </div>
                </form>
            </section>
            <section class="panel">
                <h2>What waits</h2>
                <Failure text={identity.error} retry={identity.reload} />
                {api.can('read') ? (
                    <p role="status">
                        {waiting
                            ? `${waiting} of at most 50 messages ${waiting === 1 ? 'waits' : 'wait'} for the device.`
                            : 'No message waits for the device.'}
                    </p>
                ) : (
                    <Denied what="see how many wait (it lacks RegistryRead)" />
                )}
                <div class="actions">
                    <button type="button" onClick={identity.reload}>
                        Refresh
                    </button>
                    <button type="button" class="danger" onClick={() => setPurging(true)}>
                        Purge
                    </button>
                </div>
            </section>
            {purging && (
                <FormDialog
                    title={`Purge the messages of ${props.device}?`}
                    action="Purge"
                    danger
                    close={() => setPurging(false)}
                    send={async () => {
                        const told = await api.ask(`${path}/commands`, { method: 'DELETE' });
                        notify(`${String(told.totalMessagesPurged)} purged.`);
                        identity.reload();
                    }}
                >
                    <p class="note warn">
                        All that wait for the device go, those of other users too. Who asked for negative or full
                        feedback is told.
                    </p>
                </FormDialog>
            )}
        </div>
    );
}
