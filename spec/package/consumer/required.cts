import axios = require('axios')
import plugin = require('axios-oauth2')

const api: axios.AxiosInstance = axios.create()
plugin.oauth(api, {})
export const untouched: Promise<axios.AxiosResponse> = api.get('/', { oauth: false })
