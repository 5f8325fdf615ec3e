const core = require('axios-oauth2')
const node = require('axios-oauth2/node')

console.log(JSON.stringify({ core: Object.keys(core).sort(), node: Object.keys(node).sort() }))
