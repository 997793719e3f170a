/** Stands for wherever an application keeps its secrets. */
export const secrets = { TRANSMITTER: 'agreed upon with the transmitter' }
