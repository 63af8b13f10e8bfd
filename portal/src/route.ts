// The address in the bar is the state: /portal/devices/{id}/{tab}?query.
import { useEffect, useState } from 'preact/hooks';

const BASE = '/portal';

export interface Route {
    path: string[]; // decoded
    query: URLSearchParams;
}

function read(): Route {
    const path = location.pathname.slice(BASE.length).split('/').filter(Boolean);
    const decoded = path.map((part) => {
        try {
            return decodeURIComponent(part);
        } catch {
            return part;
        }
    });
    return { path: decoded, query: new URLSearchParams(location.search) };
}

const CHANGED = 'skerry-route';

export function href(...path: string[]): string {
    return [BASE, ...path.map(encodeURIComponent)].join('/') + (path.length ? '' : '/');
}

/** The same with a query; what is empty is left out. */
export function hrefWith(query: Record<string, string>, ...path: string[]): string {
    const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
    return href(...path) + (said.size ? `?${said}` : '');
}

export function go(to: string, replace = false) {
    if (replace) history.replaceState(null, '', to);
    else history.pushState(null, '', to);
    dispatchEvent(new Event(CHANGED));
}

/** Writes the query's parameters into the address; empty ones are left out. */
export function setQuery(values: Record<string, string>) {
    go(hrefWith(values, ...read().path), true);
}

/** The same, where the others stay as they are. */
export function changeQuery(values: Record<string, string>) {
    setQuery({ ...Object.fromEntries(new URLSearchParams(location.search)), ...values });
}

export function useRoute(): Route {
    const [route, setRoute] = useState(read);
    useEffect(() => {
        const changed = () => setRoute(read());
        // A link of ours is followed without loading the page again.
        const clicked = (event: MouseEvent) => {
            const link = event.target instanceof Element ? event.target.closest('a') : null;
            if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey)
                return;
            const url = new URL(link.href);
            if (url.origin !== location.origin || !url.pathname.startsWith(BASE) || link.target || url.hash) return;
            event.preventDefault();
            go(url.pathname + url.search);
            document.getElementById('main')?.focus();
            scrollTo(0, 0);
        };
        addEventListener('popstate', changed);
        addEventListener(CHANGED, changed);
        document.addEventListener('click', clicked);
        return () => {
            removeEventListener('popstate', changed);
            removeEventListener(CHANGED, changed);
            document.removeEventListener('click', clicked);
        };
    }, []);
    return route;
}
