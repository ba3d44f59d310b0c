/** Properties draw the same values in every run: a red test stays red. FC_SEED tries others. */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['FC_SEED'] ?? 5780) })
