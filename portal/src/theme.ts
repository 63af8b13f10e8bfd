// Light, dark, or as the system has it; and whether single keys are shortcuts. Kept by the browser: neither is a secret.
export type Theme = 'system' | 'light' | 'dark';

const read = (name: string) => {
    try {
        return localStorage.getItem(name);
    } catch {
        return null;
    }
};
const write = (name: string, value: string) => {
    try {
        localStorage.setItem(name, value);
    } catch {
        // a browser that keeps nothing
    }
};

export function theme(): Theme {
    const kept = read('skerry-theme');
    return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export function applyTheme(next: Theme = theme()) {
    write('skerry-theme', next);
    if (next === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
}

export const keysOn = () => read('skerry-keys') !== 'off';
export const setKeys = (on: boolean) => write('skerry-keys', on ? 'on' : 'off');
