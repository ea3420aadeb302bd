import { DriverMissing } from '../driver.js';

/** Loads a driver that is not a dependency of Tenure; throws DriverMissing, which names the package to install. */
export async function loadDriver<T>(name: string, load: () => Promise<unknown>): Promise<T> {
  let loaded: unknown;
  try {
    loaded = await load();
  } catch {
    throw new DriverMissing(name);
  }
  const module = loaded as { readonly default?: T };
  return module.default ?? (loaded as T);
}

/** Imports by a name that the compiler does not resolve: the package may be absent. */
export function importPackage(name: string): Promise<unknown> {
  return import(name) as Promise<unknown>;
}
