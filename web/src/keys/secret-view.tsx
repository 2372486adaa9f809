import { strings } from '../strings.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import { usePage } from '../ui/page.tsx'

/** A whole secret, and a command that uses it. */
export function SecretView({ secret }: { secret: string }) {
  const { example } = usePage()
  return (
    <>
      <Copyable label={strings.secret.label} text={secret} copyLabel={strings.copy.secretLabel} />
      <Copyable
        label={strings.secret.curl}
        text={example.replaceAll('{key}', secret)}
        copyLabel={strings.copy.curl}
      />
    </>
  )
}

function Copyable({ label, text, copyLabel }: { label: string; text: string; copyLabel: string }) {
  return (
    <div className="field">
      <span className="label">{label}</span>
      <div className="copyable">
        <code>{text}</code>
        <CopyButton value={text} label={copyLabel} text={strings.copy.secret} />
      </div>
    </div>
  )
}
