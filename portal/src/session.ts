// Who is signed in: a shared access policy's connection string, from which the browser makes short-lived tokens. The key stays in this tab: in
// memory, and in sessionStorage when the person wants to stay signed in over a reload. There are no cookies. Other ways to sign in
// (users with roles) would be another `Session`: all that pages know is `authorization`, `rights` and `name`.

export interface Policy {
    host: string;
    name: string;
    key: string;
}

export type Right = 'read' | 'write' | 'service' | 'owner';

export interface Session {
    name: string; // whom the top bar shows
    host: string; // the hub's name in connection strings
    rights: Set<Right>;
    authorization(): Promise<string>;
    account: string; // in signatures of the blob service
    sign(text: string): Promise<string>; // for it, as base64
}

const KEPT = 'skerry-policy';
const TOKEN_S = 600;
const RENEW_S = 60; // before its end

/** Reads `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`; throws a sentence. */
export function parseConnectionString(text: string): Policy {
    const parts = new Map<string, string>();
    for (const part of text.trim().split(';')) {
        const at = part.indexOf('=');
        if (at > 0) parts.set(part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim());
    }
    const [host, name, key] = ['hostname', 'sharedaccesskeyname', 'sharedaccesskey'].map(
        (word) => parts.get(word) ?? '',
    );
    if (parts.has('deviceid')) throw new Error('This is a device’s connection string; sign in with one of a policy.');
    if (!host || !name || !key)
        throw new Error('A policy’s connection string has HostName, SharedAccessKeyName and SharedAccessKey.');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key)) throw new Error('SharedAccessKey is not base64.');
    return { host, name, key };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** A new key, as identities and policies have them. */
export function newKey(): string {
    return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))));
}

async function hmac(key: string, text: string): Promise<string> {
    const usage = { name: 'HMAC', hash: 'SHA-256' };
    const imported = await crypto.subtle.importKey('raw', bytesOf(key), usage, false, ['sign']);
    const digest = await crypto.subtle.sign('HMAC', imported, new TextEncoder().encode(text));
    return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

/** A SAS token for a resource, until `expiry` (seconds since 1970); a device's has no policy. */
export async function signToken(resource: string, key: string, expiry: number, policy?: string): Promise<string> {
    const encoded = encodeURIComponent(resource);
    const signature = encodeURIComponent(await hmac(key, `${encoded}\n${expiry}`));
    return (
        `SharedAccessSignature sr=${encoded}&sig=${signature}&se=${expiry}` +
        (policy ? `&skn=${encodeURIComponent(policy)}` : '')
    );
}

export function policySession(policy: Policy): Session {
    let token = Promise.resolve('');
    let ends = 0;
    return {
        name: policy.name,
        host: policy.host,
        rights: new Set(),
        account: policy.name,
        sign: (text) => hmac(policy.key, text),
        authorization() {
            const now = Math.floor(Date.now() / 1000);
            if (now > ends - RENEW_S || ends > now + 2 * TOKEN_S) {
                ends = now + TOKEN_S;
                token = signToken(policy.host, policy.key, ends, policy.name);
            }
            return token;
        },
    };
}

export function keep(policy: Policy) {
    sessionStorage.setItem(KEPT, JSON.stringify(policy));
}

export function kept(): Policy | null {
    try {
        const policy = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as Policy | null;
        return policy && typeof policy.key === 'string' ? policy : null;
    } catch {
        return null;
    }
}

export function forget() {
    sessionStorage.removeItem(KEPT);
}
