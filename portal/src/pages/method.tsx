import { useState } from 'preact/hooks';
import { twinPath, type Doc } from '../api';
import { Area, Denied, Failure, messageOf, Show, Text, useApi } from '../ui';

const seconds = (text: string, least: number) => {
    const value = Number(text);
    return Number.isInteger(value) && value >= least && value <= 300 ? '' : `${least} to 300 seconds`;
};

export function MethodTab(props: { device: string; module?: string }) {
    const api = useApi();
    const [name, setName] = useState('');
    const [payload, setPayload] = useState('{}');
    const [connect, setConnect] = useState('0');
    const [response, setResponse] = useState('30');
    const [result, setResult] = useState<Doc | null>(null);
    const [failure, setFailure] = useState('');
    const [busy, setBusy] = useState(false);
    if (!api.can('service')) return <Denied what="call methods (it lacks ServiceConnect)" />;
    let wrong = '';
    let value: unknown;
    try {
        value = payload.trim() ? (JSON.parse(payload) as unknown) : undefined;
    } catch {
        wrong = 'This is not JSON.';
    }
    const fine = !wrong && !seconds(connect, 0) && !seconds(response, 5);
    const invoke = async (event: Event) => {
        event.preventDefault();
        if (!fine) return;
        setBusy(true);
        setFailure('');
        setResult(null);
        try {
            setResult(
                await api.ask(`${twinPath(props.device, props.module)}/methods`, {
                    method: 'POST',
                    body: {
                        methodName: name,
                        payload: value,
                        connectTimeoutInSeconds: Number(connect),
                        responseTimeoutInSeconds: Number(response),
                    },
                }),
            );
        } catch (error) {
            setFailure(messageOf(error));
        }
        setBusy(false);
    };
    return (
        <div class="two">
            <section class="panel">
                <h2>Direct method</h2>
                <form onSubmit={(event) => void invoke(event)}>
                    <Text label="Method name" value={name} set={setName} required />
                    <Area label="Payload (JSON)" rows={6} value={payload} set={setPayload} wrong={wrong} />
                    <div class="row">
                        <Text
                            label="Wait for the connection, s"
                            value={connect}
                            set={setConnect}
                            wrong={seconds(connect, 0)}
                            class="grow"
                        />
                        <Text
                            label="Wait for the answer, s"
                            value={response}
                            set={setResponse}
                            wrong={seconds(response, 5)}
                            class="grow"
                        />
                    </div>
                    <div class="actions">
                        <button class="first" disabled={busy || !fine}>
                            {busy ? 'Waiting…' : 'Invoke'}
                        </button>
                    </div>
                </form>
            </section>
            <section class="panel" aria-live="polite">
                <h2>Answer</h2>
                <Failure text={failure} />
                {result ? (
                    <>
                        <p>
                            Status <strong>{String(result.status)}</strong>
                        </p>
                        <Show label="Payload of the answer" value={result.payload} />
                    </>
                ) : (
                    !failure && <p class="quiet">{busy ? 'Waiting for the device…' : 'Nothing has been called yet.'}</p>
                )}
            </section>
        </div>
    );
}
