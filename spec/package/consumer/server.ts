import axios from 'axios'
import { oauth } from 'axios-oauth2'
import { loopbackReceiver } from 'axios-oauth2/node'

const api = axios.create({ baseURL: 'https://api.example.com/v1' })
oauth(api, { receiver: loopbackReceiver() })
export const answer: Promise<unknown> = api.get('/items', { oauth: { scope: 'items:read' } })
