// All text on the page. To translate the page, translate this file. Numbers and dates are passed in already formatted
// for the browser's locale.

const plural = new Intl.PluralRules('en')

/** "1 call", "2 calls": the formatted number, and the noun in the right form. */
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
      connecting: 'Connecting to the server. Then counts update as calls are made.',
      live: 'Connected. Counts update as calls are made.',
      reconnecting: 'The connection was lost. Until it is restored, this page may be out of date.',
      offline: 'Your device is offline. Until it is online again, this page may be out of date.',
      signedOut: 'You are signed out. Counts do not update until you sign in again.',
      stopped: 'Live counts are not available here. Reload the page to update the counts.',
    },
    back: 'Reconnected. Counts are up to date.',
  },

  usage: {
    heading: (month: string) => `Calls in ${month}`,
    utc: 'UTC',
    ofQuota: (quota: string) => `of ${quota}`,
    meter: 'Calls used this month, out of your plan’s quota',
    left: (count: number, written: string) => `${counted(count, written, 'call', 'calls')} left`,
    usedUp: 'No calls left: further calls are refused',
    unlimited: 'No monthly limit',
    resets: (date: string) => `resets ${date}`,
    history: 'History',
    historyOfAccount: 'Account history',
  },

  plan: {
    heading: 'API keys',
    ofKeys: (most: number, written: string) => `of ${counted(most, written, 'key', 'keys')}`,
    name: (plan: string) => `${plan} plan`,
    meter: 'API keys in use, out of your plan’s limit',
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
    nothingFound: 'No key’s note or start matches.',
    empty: 'You have no API keys',
    emptyHint:
      'An account may start without a key, because some servers show a key only once: when it is added. Add one to let your programs use the API.',
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
    failed: 'The browser does not allow this page to copy. Select the text and copy it yourself.',
  },

  note: {
    add: 'Add note…',
    change: (note: string) => `Change the note “${note}”`,
    addTo: (start: string) => `Add note… to ${start}`,
    label: 'Note',
    save: 'Save the note',
    cancel: 'Discard the change',
    saved: 'Note saved.',
    cleared: 'Note removed.',
  },

  access: {
    full: 'Full access',
    restricted: (count: number, written: string) => counted(count, written, 'call', 'calls'),
    configure: 'Configure Access',
    configureOf: (access: string, key: string) => `${access}. Configure Access of ${key}`,
    title: 'Configure Access',
    about: (key: string) => `What ${key} may call. A change applies from the very next call.`,
    label: 'Access',
    fullLabel: 'Full access',
    fullHint: 'Every call of the API, including calls added later.',
    chosenLabel: 'Only selected calls',
    chosenHint: 'Only the calls selected below. All others are refused.',
    search: 'Search calls',
    allReads: 'All read-only calls',
    chosen: (count: string, all: string) => `${count} of ${all} selected`,
    none: 'With nothing selected, every call with this key is refused.',
    nothingFound: 'No call’s name or category matches.',
    reads: 'read',
    writes: 'write',
    save: 'Save access',
    saved: 'Access saved.',
    loading: 'Loading the calls…',
  },

  add: {
    button: 'Add a new API Key',
    limit: (plan: string, most: number, written: string) =>
      `Your ${plan} plan allows ${counted(most, written, 'key', 'keys')}. Remove one, or change to a larger plan, to add another.`,
    readOnly: 'You can view the keys here, but not change them.',
    title: 'Add a new API Key',
    about: 'A note reminds you what the key is for. You can change note and access at any time.',
    note: 'Note',
    noteHint: 'Optional, for example the program that uses it',
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
      'For security, it was shown only once, when it was created. If you no longer have it, re-generate it: the key keeps its note, access and counts, and gets a new secret.',
  },

  regenerate: {
    action: 'Re-generate API Key',
    actionOf: (key: string) => `Re-generate API Key: ${key}`,
    short: 'Re-generate',
    title: 'Re-generate this API key?',
    about: (key: string) =>
      `This creates a new secret for ${key}. The old secret stops working immediately: programs that use it are refused until they have the new one. Note, access and counts stay the same.`,
    confirm: 'Re-generate API Key',
  },

  remove: {
    action: 'Remove API Key',
    actionOf: (key: string) => `Remove API Key: ${key}`,
    short: 'Remove',
    title: 'Remove this API key?',
    about: (key: string) =>
      `This disables ${key} immediately: programs that use it are refused. It cannot be undone. Past calls stay in your account’s count.`,
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
    ofAccount: 'The last twelve months of all your keys, including removed ones. Months are in UTC.',
    chart: (total: string, highest: string, month: string) =>
      `Bar chart of calls by month: ${total} in total, with the most in ${month} (${highest}).`,
    none: 'There were no calls in these months.',
    chartEmpty: 'Bar chart of calls by month: no calls.',
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
      hint: 'Sign in again where you came from, then return to this page.',
    },
    unreachable: {
      title: 'The server cannot be reached',
      hint: 'Check your connection. The page recovers by itself when the server is back.',
    },
    notAllowed: {
      title: 'You are not allowed to do this',
      hint: 'Ask whoever manages your account to give you access to API keys.',
    },
    busy: { title: 'The server is busy', hint: 'Nothing was changed. Try again in a moment.' },
    unavailable: {
      title: 'The service is interrupted',
      hint: 'It should be back soon. Check whether your last change was made before you repeat it.',
    },
    defect: {
      title: 'Something went wrong',
      hint: 'Try again. If it keeps happening, contact this site’s support.',
    },
    noAccount: {
      title: 'No account',
      hint: 'You are signed in, but not as a customer with an account. Sign in as a customer to see API keys.',
    },
    notFound: {
      title: 'This key no longer exists.',
      hint: 'It may have been removed in another window.',
    },
    limitReached: (plan: string, most: number, written: string) => ({
      title: `Your ${plan} plan allows ${counted(most, written, 'key', 'keys')}.`,
      hint: 'Remove one, or change to a larger plan.',
    }),
    noEndpoint: {
      title: 'This page is not set up',
      hint: 'The element <latchkey-keys> needs the attribute “endpoint” and the property “getToken”.',
    },
  },

  /** For the page at /, which requests its token from the window that framed or opened it. */
  host: {
    noHost: 'Open this page from your client area, which signs you in.',
    noAnswer: 'The client area did not answer. Reload it, or sign in there again.',
    noSession: 'The server did not say how to sign in.',
  },
}
