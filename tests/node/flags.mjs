// What a page needs of OpenFeature, for a browser: bundled with esbuild by the test that drives it.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

window.openfeature = { OFREPWebProvider, OpenFeature, ProviderEvents };
