import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Api } from './api';
import { applyTheme } from './theme';
import { Shell } from './shell';
import { SignIn } from './pages/sign-in';
import { forget, kept, policySession } from './session';
import { ApiContext } from './ui';
import './style.css';
import './explorer.css';
import './monitoring.css';

function App() {
    const [api, setApi] = useState<Api | null>(null);
    const [waiting, setWaiting] = useState(true);
    const [failure, setFailure] = useState('');
    useEffect(() => {
        const policy = kept();
        if (!policy) {
            setWaiting(false);
            return;
        }
        const next = new Api(policySession(policy));
        next.learnRights()
            .then(() => setApi(next))
            .catch((error: Error) => setFailure(error.message))
            .finally(() => setWaiting(false));
    }, []);
    const signOut = () => {
        forget();
        setFailure('');
        setApi(null);
    };
    if (waiting) return <p class="boot">Skerry</p>;
    if (!api) return <SignIn failure={failure} done={setApi} />;
    return (
        <ApiContext.Provider value={api}>
            <Shell signOut={signOut} />
        </ApiContext.Provider>
    );
}

applyTheme();
const root = document.getElementById('app');
if (root) render(<App />, root);
