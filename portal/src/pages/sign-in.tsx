import { useState } from 'preact/hooks';
import { Api } from '../api';
import icon from '../icon.svg';
import { keep, parseConnectionString, policySession } from '../session';
import { Failure, Field, messageOf } from '../ui';

export function SignIn(props: { failure: string; done: (api: Api) => void }) {
    const [text, setText] = useState('');
    const [stays, setStays] = useState(true);
    const [failure, setFailure] = useState(props.failure);
    const [busy, setBusy] = useState(false);
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setFailure('');
        let of = '';
        try {
            const policy = parseConnectionString(text);
            if (policy.host.toLowerCase() !== location.hostname.toLowerCase())
                of = ` The string is of ${policy.host}, this page of ${location.hostname}.`;
            const api = new Api(policySession(policy));
            await api.learnRights();
            if (stays) keep(policy);
            props.done(api);
        } catch (error) {
            setFailure(messageOf(error) + (of && `.${of}`));
            setBusy(false);
        }
    };
    return (
        <div class="sign-in">
            <main class="stack">
                <div class="brand">
                    <img src={icon} alt="" />
                    Skerry
                </div>
                <div class="panel">
                    <h1>Sign in to {location.hostname}</h1>
                    <p class="quiet">
                        With the connection string of a shared access policy. What the policy may do, you may do; its
                        key stays in this browser tab.
                    </p>
                    <form onSubmit={(event) => void submit(event)}>
                        <Field label="Connection string" hint="HostName=…;SharedAccessKeyName=…;SharedAccessKey=…">
                            {(id, described) => (
                                <input
                                    id={id}
                                    type="password"
                                    value={text}
                                    required
                                    autocomplete="off"
                                    aria-describedby={described}
                                    onInput={(event) => setText(event.currentTarget.value)}
                                />
                            )}
                        </Field>
                        <label class="check">
                            <input
                                type="checkbox"
                                checked={stays}
                                onChange={(event) => setStays(event.currentTarget.checked)}
                            />
                            Stay signed in until this tab is closed
                        </label>
                        <Failure text={failure} />
                        <div class="actions">
                            <button class="first" disabled={busy}>
                                {busy ? 'Signing in…' : 'Sign in'}
                            </button>
                        </div>
                    </form>
                    <p class="quiet">
                        <code>skerry policy list</code> shows the policies, on the hub’s machine{' '}
                        <code>skerry-hub init</code> has shown them.
                    </p>
                </div>
            </main>
        </div>
    );
}
