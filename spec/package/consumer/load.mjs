import * as core from 'axios-oauth2'
import * as node from 'axios-oauth2/node'

console.log(JSON.stringify({ core: Object.keys(core).sort(), node: Object.keys(node).sort() }))
