// Every word that the page shows. To translate it, translate this file: numbers and dates come in already written
// the way the browser's locale writes them.

const plural = new Intl.PluralRules('en')

/** "1 call", "2 calls": the number as it is written, and the word that goes with it. */
const counted = (count: number, written: string, one: string, other: string) =>
  `${written} ${plural.select(count) === 'one' ? one : other}`

export const strings = {
  title: 'API Keys',
  intro: (account: string) =>
    `Keys let your own programs use the API for ${account}. Treat them like passwords.`,
  loading: 'Loading your API keys…',

  live: {
    connecting: 'Connecting',
    live: 'Live',
    reconnecting: 'Reconnecting…',
    offline: 'Offline',
    signedOut: 'Signed out',
    stopped: 'Not live',
    about: {
      connecting: 'Connecting to the server. Counts will then change as calls are made.',
      live: 'Connected. Counts change as calls are made.',
      reconnecting: 'The connection was lost and is being made again. What you see may be behind until then.',
      offline: 'Your device is offline. What you see may be behind until it is online again.',
      signedOut: 'You are signed out. Counts stay as they are until you sign in again.',
      stopped: 'The server does not send live counts here. Load the page again for new ones.',
    },
    back: 'Connected again. Counts are up to date.',
  },

  usage: {
    heading: (month: string) => `Calls in ${month}`,
    utc: 'UTC',
    ofQuota: (quota: string) => `of ${quota}`,
    meter: 'Calls of this month, of those that the plan allows',
    left: (count: number, written: string) => `${counted(count, written, 'call', 'calls')} left`,
    usedUp: 'No calls left: further ones are refused',
    unlimited: 'No monthly limit',
    resets: (date: string) => `resets ${date}`,
    history: 'History',
    historyOfAccount: 'History of the account',
  },

  plan: {
    heading: 'API keys',
    ofKeys: (most: number, written: string) => `of ${counted(most, written, 'key', 'keys')}`,
    name: (plan: string) => `${plan} plan`,
    meter: 'API keys in use, of those that the plan allows',
  },

  list: {
    label: 'Your API keys',
    columns: {
      key: 'Key',
      access: 'Access',
      calls: 'Calls this month',
      lastCall: 'Last call',
      added: 'Added',
    },
    search: 'Search by note or start',
    searching: 'Search keys',
    found: (count: number, written: string) => `${counted(count, written, 'key', 'keys')} found`,
    nothingFound: 'No key has this in its note or start.',
    empty: 'You have no API keys',
    emptyHint: 'Add one to let your programs use the API.',
    loadingMore: 'Loading more keys…',
    never: 'Never',
    unnamed: (start: string) => `the key ${start}`,
    named: (note: string, start: string) => `“${note}” (${start})`,
  },

  copy: {
    start: 'Copy the start',
    secret: 'Copy',
    secretLabel: 'Copy the key',
    curl: 'Copy the command',
    done: 'Copied',
    failed: 'The browser does not let this page copy. Select the text and copy it yourself.',
  },

  note: {
    add: 'Add note…',
    change: (note: string) => `Change the note “${note}”`,
    addTo: (start: string) => `Add note… to ${start}`,
    label: 'Note',
    save: 'Save the note',
    cancel: 'Leave the note as it was',
    saved: 'The note is saved.',
    cleared: 'The note is cleared.',
  },

  access: {
    full: 'Full access',
    restricted: (count: number, written: string) => counted(count, written, 'call', 'calls'),
    configure: 'Configure Access',
    configureOf: (access: string, key: string) => `${access}. Configure Access of ${key}`,
    title: 'Configure Access',
    about: (key: string) => `What ${key} may call. A change holds from the very next call.`,
    label: 'Access',
    fullLabel: 'Full access',
    fullHint: 'Every call of the API, those that are added later included.',
    chosenLabel: 'Only chosen calls',
    chosenHint: 'Exactly the calls ticked below. Any other is refused.',
    search: 'Search calls',
    allReads: 'All calls that only read',
    chosen: (count: string, all: string) => `${count} of ${all} chosen`,
    none: 'With nothing chosen, every call of this key is refused.',
    nothingFound: 'No call has this in its name or category.',
    reads: 'read',
    writes: 'write',
    save: 'Save access',
    saved: 'The access is saved.',
    loading: 'Loading the calls…',
  },

  add: {
    button: 'Add a new API Key',
    limit: (plan: string, most: number, written: string) =>
      `Your ${plan} plan allows ${counted(most, written, 'key', 'keys')}. Remove one, or change to a larger plan, to add another.`,
    readOnly: 'You may look at the keys here, but not change them.',
    title: 'Add a new API Key',
    about: 'A note says later what the key is for. Note and access can be changed at any time.',
    note: 'Note',
    noteHint: 'Optional, for instance the program that uses it',
    submit: 'Add API Key',
    done: 'Your new API key',
  },

  secret: {
    once: 'Copy it now and keep it in a safe place. It may not be shown again.',
    regenerated: 'Your API key has a new secret',
    regeneratedAbout: 'The old one has stopped working. Copy the new one now: it may not be shown again.',
    label: 'API key',
    curl: 'Try it',
    show: 'Show key',
    showOf: (key: string) => `Show key: ${key}`,
    showTitle: 'Show the key',
    shown: (key: string) => `This is ${key}. Anyone who has it can use the API in your name.`,
    loading: 'Getting the key…',
    gone: 'This key cannot be shown again',
    goneHint:
      'For safety it was shown only once, when it was made. If you no longer have it, re-generate it: it keeps its note, access and counts, and gets a new secret.',
  },

  regenerate: {
    action: 'Re-generate API Key',
    actionOf: (key: string) => `Re-generate API Key: ${key}`,
    short: 'Re-generate',
    title: 'Re-generate this API key?',
    about: (key: string) =>
      `This makes a new secret for ${key}. The old secret stops working at once: every program that uses it is refused until it has the new one. Note, access and counts stay.`,
    confirm: 'Re-generate API Key',
  },

  remove: {
    action: 'Remove API Key',
    actionOf: (key: string) => `Remove API Key: ${key}`,
    short: 'Remove',
    title: 'Remove this API key?',
    about: (key: string) =>
      `This stops ${key} at once: every program that uses it is refused. It cannot be undone. Its past calls stay in your account’s count.`,
    confirm: 'Remove API Key',
    done: (key: string) => `Removed ${key}.`,
  },

  lastCalled: {
    never: 'It has never been called.',
    at: (relative: string, date: string) => `It was last called on ${date} (${relative}).`,
  },

  history: {
    action: 'History',
    actionOf: (key: string) => `History: ${key}`,
    title: 'Calls by month',
    ofKey: (key: string) => `The last twelve months of ${key}. Months are in UTC.`,
    ofAccount: 'The last twelve months of all your keys together, removed ones included. Months are in UTC.',
    chart: (total: string, highest: string, month: string) =>
      `Bar chart of calls by month: ${total} in all, the most in ${month} with ${highest}.`,
    none: 'There were no calls in these months.',
    chartEmpty: 'Bar chart of calls by month: there were none.',
    month: 'Month (UTC)',
    calls: 'Calls',
    total: 'Total',
    download: 'Download CSV',
    csvHeader: 'month,calls',
    file: (of: string) => `api-calls-${of}.csv`,
    account: 'account',
    loading: 'Loading the history…',
    soFar: 'so far',
  },

  cancel: 'Cancel',
  close: 'Close',
  done: 'Done',
  tryAgain: 'Try again',

  problems: {
    signedOut: {
      title: 'You are signed out',
      hint: 'Sign in again where you came from, then come back to this page.',
    },
    unreachable: {
      title: 'The server cannot be reached',
      hint: 'Check your connection. The page goes on by itself when the server is back.',
    },
    notAllowed: {
      title: 'You are not allowed to do this',
      hint: 'Ask whoever manages your account to give you access to API keys.',
    },
    busy: { title: 'The server is busy', hint: 'Nothing was changed. Try again in a moment.' },
    unavailable: {
      title: 'The service is interrupted',
      hint: 'It should be back soon. Look whether your last change was made before you make it again.',
    },
    defect: {
      title: 'Something went wrong',
      hint: 'Try again. If it happens again, tell the support of this site.',
    },
    noAccount: {
      title: 'There is no account here',
      hint: 'You are signed in, but not as a customer with an account. Sign in as one to see API keys.',
    },
    notFound: {
      title: 'This key is no longer there.',
      hint: 'It may have been removed in another window.',
    },
    limitReached: (plan: string, most: number, written: string) => ({
      title: `Your ${plan} plan allows ${counted(most, written, 'key', 'keys')}.`,
      hint: 'Remove one, or change to a larger plan.',
    }),
    noEndpoint: {
      title: 'This page is not set up',
      hint: 'The element <latchkey-keys> needs the attribute endpoint and the property getToken.',
    },
  },

  /** For the page at /, which asks the window that it was opened from for a token. */
  host: {
    noHost: 'Open this page from your client area: it signs you in.',
    noAnswer: 'The client area did not answer. Reload it, or sign in there again.',
    noSession: 'The server did not say how to sign in.',
  },
}
