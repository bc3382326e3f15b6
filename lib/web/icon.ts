/** A branch that leaves and comes back. */
export const ICON: string = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">
<rect width="24" height="24" rx="6" fill="#0f766e"/>
<g fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round">
<path d="M8 8.4v7.2M16 10.4c0 3.2-8 1.6-8 5.2"/>
<circle cx="8" cy="6.4" r="2"/><circle cx="16" cy="8.4" r="2"/><circle cx="8" cy="17.6" r="2"/>
</g>
</svg>
`
